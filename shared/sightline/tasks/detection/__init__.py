"""Code shared by detection tasks: detectors, predictors, targets and measurement."""
