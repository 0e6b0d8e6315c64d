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
) -> NamedTuple("Recorded", [("result", str)]):
    """Validate the annotations of a dataset tag, split them, and publish them as a training tag.

    Args:
        config: The configuration as JSON, from resolve.
        code_rev: The code revision, from resolve.
        recorded_images: How many images each split has.
        data_report: Classes, sizes, splits, drops and examples.

    Returns:
        result: JSON: training tag, commit, digest, counts.
    """
    from sightline_bootstrap import activate

    activate(code_rev)
    from sightline.steps.task import run_record

    finished = run_record(config, code_rev, html=data_report.path)
    for name, value in finished.metrics.items():
        recorded_images.log_metric(name, value)
    return (finished.result,)
