"""promote: what evaluate selected becomes champion."""

from kfp import dsl

from components import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def promote(config: str, code_rev: str, champion: dsl.Output[dsl.Metrics], train_result: str = "") -> None:
    """Make the selected models champions; where another run was faster, measure against its champion first.

    Args:
        config: The configuration as JSON, from resolve.
        code_rev: The code revision, from resolve.
        champion: Its value of every metric that it is champion by.
        train_result: The result of train; empty: its last result for this dataset and configuration.
    """
    from sightline_bootstrap import activate

    activate(code_rev)
    from sightline.steps.task import run_promote

    finished = run_promote(config, code_rev, train_result)
    for name, value in finished.metrics.items():
        champion.log_metric(name, value)
