"""From a training set to batches."""
