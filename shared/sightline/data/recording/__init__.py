"""Creates a training set from labeled images."""
