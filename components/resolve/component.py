"""resolve: the first task of every run, never cached."""

from typing import NamedTuple

from kfp import dsl

from components import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def resolve(
    dataset_tag: str,
    recipe: str,
    overrides: str = "",
    code_rev: str = "image",
    steps: str = "record,train,evaluate,test",
    run_name: str = "",
) -> NamedTuple("Resolved", [("config", str), ("code_rev", str)]):
    """Turn the parameters of a run into one complete configuration, and pin the code revision.

    Args:
        dataset_tag: Annotation tag, such as plates_ann_v1.
        recipe: Name of a recipe of Sightline.
        overrides: Changes to the recipe, one per line, such as train.iterations=800
        code_rev: Code revision to run: image, current, or the digest of a snapshot.
        steps: The steps after resolve, separated by commas.
        run_name: Title of the run's page, such as dsl.PIPELINE_JOB_NAME_PLACEHOLDER (its name); empty: its id.

    Returns:
        config: The configuration as JSON.
        code_rev: The code revision that all later tasks use.
    """
    import os

    from sightline_bootstrap import activate, pin

    os.environ["SIGHTLINE_RUN_NAME"] = (
        run_name  # not an argument, because helper code of an earlier release does not accept it
    )
    pinned = activate(pin(code_rev))
    from sightline.steps.task import run_resolve

    resolved = run_resolve(recipe, overrides, dataset_tag, pinned, steps=steps)
    return (resolved.config.model_dump_json(), resolved.code_rev)
