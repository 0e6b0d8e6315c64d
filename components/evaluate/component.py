"""evaluate: candidates and champion in, the selected model out."""

from typing import NamedTuple

from kfp import dsl

from components import TRAIN_IMAGE


@dsl.component(base_image=TRAIN_IMAGE, install_kfp_package=False)
def evaluate(
    config: str,
    code_rev: str,
    evaluation_metrics: dsl.Output[dsl.Metrics],
    evaluation_confusion: dsl.Output[dsl.ClassificationMetrics],
    evaluation_report: dsl.Output[dsl.HTML],
    selected_model: dsl.Output[dsl.Model],
    train_result: dict = {},
) -> NamedTuple("Evaluated", [("result", dict), ("promoted", str)]):
    """Measure every candidate and the champion on the val split; select the best by each chosen metric.

    Args:
        config: The configuration as JSON, from resolve.
        code_rev: The code revision, from resolve.
        train_result: The result of train; empty: its last result for this dataset and configuration.
        evaluation_metrics: Metrics of the best candidate on the val split.
        evaluation_confusion: Its confusion matrix; rows are true classes. Classifiers have a ROC curve, too.
        evaluation_report: All models with values per class, curves and drawn images.
        selected_model: Location of the model selected by the first metric, champion or candidate. Nothing is copied.

    Returns:
        result: The models, their metrics and the selections.
        promoted: yes if a candidate becomes champion, otherwise no.
    """
    import json

    from sightline_bootstrap import activate

    activate(code_rev)
    from sightline.steps.task import run_evaluate

    given = json.dumps(train_result) if train_result else ""
    finished = run_evaluate(config, code_rev, given, html=evaluation_report.path)
    evaluation_metrics.metadata.update(finished.metrics)
    evaluation_confusion.log_confusion_matrix(*finished.confusion)
    evaluation_confusion.log_roc_curve(*getattr(finished, "roc", ([], [], [])))  # helper code of an earlier release
    if hasattr(finished, "describe"):  # lacks these
        finished.describe(selected_model)
    return (json.loads(finished.result), finished.promoted)  # noqa: TID251
