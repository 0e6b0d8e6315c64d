"""Object detection: boxes and classes."""
