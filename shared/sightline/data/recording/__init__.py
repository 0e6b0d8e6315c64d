"""From labeled images to a training set."""
