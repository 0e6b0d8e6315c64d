"""HTML pages of runs and steps."""
