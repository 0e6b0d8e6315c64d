"""Where training curves go."""
