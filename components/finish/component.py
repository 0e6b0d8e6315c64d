"""finish: the last task of every run, even if other tasks failed."""

from kfp import dsl

from components import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def finish(
    dataset_tag: str,
    recipe: str,
    overrides: str,
    status: dsl.PipelineTaskFinalStatus,
    run_page: dsl.Output[dsl.HTML],
) -> None:
    """Close the run in the database, write its page, and notify the webhook in the Secret sightline-notify.

    It always runs the code of the image, so that broken code cannot prevent a run from being closed.

    Args:
        dataset_tag: The dataset tag of the run.
        recipe: The recipe of the run.
        overrides: The overrides of the run.
        status: Final state of the other tasks; provided by Kubeflow.
        run_page: The page of the run, a single file.
    """
    from sightline.kubeflow.runs.rows import ask_for_stop
    from sightline.runs.kubeflow_run import close_run

    failed = status.state == "FAILED"
    name = close_run(recipe, overrides, dataset_tag, failed=failed, copy_to=run_page.path, stopped=ask_for_stop)
    if name:
        run_page.metadata["display_name"] = name  # otherwise the dashboard shows the page of every run as run_page
