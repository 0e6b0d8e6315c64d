"""finish: the last task of every run, however the others ended."""

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
    """Close the run in the database, write its page, and tell the webhook of the Secret sightline-notify.

    It runs the code of the image, so that no other code can keep a run from being closed.

    Args:
        dataset_tag: As the run was asked for.
        recipe: As the run was asked for.
        overrides: As the run was asked for.
        status: How the tasks before ended; Kubeflow gives it.
        run_page: The page of the run, one file.
    """
    from sightline.kubeflow.runs.rows import ask_for_stop
    from sightline.runs.kubeflow_run import close_run

    failed = status.state == "FAILED"
    name = close_run(recipe, overrides, dataset_tag, failed=failed, copy_to=run_page.path, stopped=ask_for_stop)
    if name:
        run_page.metadata["display_name"] = name  # else every run's page is called run_page in the dashboard
