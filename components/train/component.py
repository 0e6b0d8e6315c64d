"""train: a training set in, candidate models out."""

from typing import NamedTuple

from kfp import dsl

from components import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def train(
    config: str,
    code_rev: str,
    validation: dsl.Output[dsl.Metrics],
    candidate: dsl.Output[dsl.Model],
    record_result: dict = {},
) -> NamedTuple("Trained", [("result", dict)]):
    """Train on a published training set; resumes from the last checkpoint if there is one.

    Args:
        config: The configuration as JSON, from resolve.
        code_rev: The code revision, from resolve.
        record_result: The result of record; empty: its last result for this dataset and configuration.
        validation: Metrics of the best candidate on the val split.
        candidate: Location, SHA-256, data, code and metrics of the best candidate. Nothing is copied.

    Returns:
        result: The candidates and their locations.
    """
    import json

    from sightline_bootstrap import activate

    activate(code_rev)
    from sightline.steps.task import run_train

    given = json.dumps(record_result) if record_result else ""
    finished = run_train(config, code_rev, given)
    for name, value in finished.metrics.items():
        validation.log_metric(name, value)
    if hasattr(finished, "describe"):  # helper code of an earlier release lacks it
        finished.describe(candidate)
    return (json.loads(finished.result),)  # noqa: TID251
