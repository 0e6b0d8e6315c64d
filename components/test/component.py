"""test: measure the best candidates and the kept champions on the test split."""

from typing import NamedTuple

from kfp import dsl

from components import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def test(
    config: str,
    code_rev: str,
    test_metrics: dsl.Output[dsl.Metrics],
    test_report: dsl.Output[dsl.HTML],
    evaluate_result: dict = {},
) -> NamedTuple("Tested", [("result", dict)]):
    """Test the best candidates and the kept champions on the test split, on which no decision is based.

    Args:
        config: The configuration as JSON, from resolve.
        code_rev: The code revision, from resolve.
        evaluate_result: The result of evaluate; empty: its last result for this dataset and configuration.
        test_metrics: Metrics of the best candidate on the test split.
        test_report: Drawn images, readings and tables.

    Returns:
        result: Metrics, speed and location of the predictions.
    """
    import json

    from sightline_bootstrap import activate

    activate(code_rev)
    from sightline.steps.task import run_test

    given = json.dumps(evaluate_result) if evaluate_result else ""
    finished = run_test(config, code_rev, given, html=test_report.path)
    for name, value in finished.metrics.items():
        test_metrics.log_metric(name, value)
    return (json.loads(finished.result),)  # noqa: TID251
