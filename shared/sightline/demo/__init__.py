"""A generator of synthetic license plate images."""
