"""record: annotations in, a published training set out."""

from typing import NamedTuple

from kfp import dsl

from components import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def record(
    config: str,
    code_rev: str,
    recorded_images: dsl.Output[dsl.Metrics],
    data_report: dsl.Output[dsl.HTML],
    training_set: dsl.Output[dsl.Dataset],
) -> NamedTuple("Recorded", [("result", dict)]):
    """Validate the annotations of a dataset tag, split them, and publish them as a training tag.

    Args:
        config: The configuration as JSON, from resolve.
        code_rev: The code revision, from resolve.
        recorded_images: Number of images per split.
        data_report: Classes, sizes, splits, dropped images and examples.
        training_set: Location, tag, commits, images per split and classes of the training set. Nothing is copied.

    Returns:
        result: Training tag, commit, digest, counts.
    """
    import json

    from sightline_bootstrap import activate

    activate(code_rev)
    from sightline.steps.task import run_record

    finished = run_record(config, code_rev, html=data_report.path)
    for name, value in finished.metrics.items():
        recorded_images.log_metric(name, value)
    if hasattr(finished, "describe"):  # helper code of an earlier release lacks it
        finished.describe(training_set)
    return (json.loads(finished.result),)  # noqa: TID251
