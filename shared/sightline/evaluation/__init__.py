"""Models measured on a split and compared."""
