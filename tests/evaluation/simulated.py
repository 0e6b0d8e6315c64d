"""Simulated comparisons of two models on clustered images, for checks of intervals and of the gate."""

import numpy as np

from sightline.metrics.statistic import AveragePrecision, ClassMatches, Ratio


def groups_of(groups, size):
    return [str(number) for number in np.repeat(np.arange(groups), size)]


def classifiers(random, groups, size, gain):
    """Two classifiers; images of a group are alike hard for both, and each has its own weaknesses."""
    group = np.repeat(np.arange(groups), size)
    count = groups * size
    hard = random.normal(0, 1.0, groups)[group] + random.normal(0, 1.0, count)
    models = []
    for better in (gain, 0.0):
        own = random.normal(0, 0.5, groups)[group] + random.normal(0, 0.5, count)
        right = (1.2 + better + own > hard).astype(float)
        models.append(Ratio(right, np.ones(count)))
    return models


def detectors(random, groups, size, gain, own_errors=1.0):
    """Two detectors of one class; some 4 objects an image, and false detections.

    ``own_errors``: how far the errors of the two differ; two trainings on almost the same data have most in common.
    """
    group = np.repeat(np.arange(groups), size)
    count = groups * size
    hard = random.normal(0, 0.8, groups)[group]
    objects = random.poisson(3, count) + 1
    image = np.repeat(np.arange(count), objects)
    base = hard[image] + random.normal(0, 0.7, len(image))
    false = np.repeat(np.arange(count), random.poisson(np.exp(-0.5 + 0.4 * hard)))
    noise = random.normal(0, 0.7, len(image)), random.normal(-0.8, 0.9, len(false))  # common to both
    models = []
    for better in (0.8 + gain, 0.8):
        own = own_errors * random.normal(0, 0.3, groups)[group]
        quality = better - base + own[image] + own_errors * random.normal(0, 0.6, len(image))
        scores = np.concatenate([quality + noise[0], noise[1]])
        order = np.argsort(-scores, kind="stable")
        right = np.concatenate([quality > 0.3, np.zeros(len(false), bool)])[None, order]
        images = np.concatenate([image, false])[order]
        matches = ClassMatches(images, right, np.zeros_like(right), objects.astype(float))
        models.append(AveragePrecision([matches]))
    return models


def true_difference(make, size, gain, groups=20_000, **options):
    """The difference on so many images that chance does not matter."""
    one, other = make(np.random.default_rng(99), groups, size, gain, **options)
    everything = np.ones((1, groups * size))
    return float(one.values(everything)[0] - other.values(everything)[0])
