"""Where something came from, as page, text and JSON."""
