"""What the tasks that find objects share: detectors, their predictors, targets and measurement."""
