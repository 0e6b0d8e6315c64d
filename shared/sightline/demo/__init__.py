"""The generator of license plate images."""
