"""train: a training set in, candidate models out."""

from typing import NamedTuple

from kfp import dsl

from components import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def train(config: str, code_rev: str, validation: dsl.Output[dsl.Metrics], record_result: str = "") -> NamedTuple(
    "Trained", [("result", str)]
):
    """Train on a published training set; goes on from the last checkpoint where there is one.

    Args:
        config: The configuration as JSON, from resolve.
        code_rev: The code revision, from resolve.
        record_result: The result of record; empty: its last result for this dataset and configuration.
        validation: Metrics of the best candidate on the val split.

    Returns:
        result: JSON: the candidates and where they are.
    """
    from sightline_bootstrap import activate

    activate(code_rev)
    from sightline.steps.task import run_train

    finished = run_train(config, code_rev, record_result)
    for name, value in finished.metrics.items():
        validation.log_metric(name, value)
    return (finished.result,)
