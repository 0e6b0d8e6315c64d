"""promote: the selected models become champions."""

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
    """Make the selected models champions; if another run has changed a champion, compare with that one first.

    Args:
        config: The configuration as JSON, from resolve.
        code_rev: The code revision, from resolve.
        champion: The value of each metric by which a model became champion.
        champion_model: Location of the new champion, by the first metric that has one. Nothing is copied.
        train_result: The result of train; empty: its last result for this dataset and configuration.
    """
    import json

    from sightline_bootstrap import activate

    activate(code_rev)
    from sightline.steps.task import run_promote

    given = json.dumps(train_result) if train_result else ""
    finished = run_promote(config, code_rev, given)
    for name, value in finished.metrics.items():
        champion.log_metric(name, value)
    if hasattr(finished, "describe"):  # helper code of an earlier release lacks it
        finished.describe(champion_model)
