"""promote: what evaluate selected becomes champion."""

from kfp import dsl

from components import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def promote(
    config: str,
    code_rev: str,
    champion: dsl.Output[dsl.Metrics],
    champion_model: dsl.Output[dsl.Model],
    train_result: dict = {},
) -> None:
    """Make the selected models champions; where another run was faster, measure against its champion first.

    Args:
        config: The configuration as JSON, from resolve.
        code_rev: The code revision, from resolve.
        champion: Its value of every metric that it is champion by.
        champion_model: Where the new champion is, by the first metric that has one. Nothing is copied.
        train_result: The result of train; empty: its last one for this dataset and configuration.
    """
    import json

    from sightline_bootstrap import activate

    activate(code_rev)
    from sightline.steps.task import run_promote

    given = json.dumps(train_result) if train_result else ""
    finished = run_promote(config, code_rev, given)
    for name, value in finished.metrics.items():
        champion.log_metric(name, value)
    if hasattr(finished, "describe"):  # helper code of an earlier release describes nothing
        finished.describe(champion_model)
