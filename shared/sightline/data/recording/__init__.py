"""From labelled images to a training set."""
