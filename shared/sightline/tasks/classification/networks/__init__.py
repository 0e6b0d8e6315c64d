"""Bodies of classifiers: each computes one vector of features for an image."""
