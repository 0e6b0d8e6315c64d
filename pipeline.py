"""Sightline's pipeline: the graph on one screen, and the commands that compile and run it::

python pipeline.py compile -o pipeline.yaml
python pipeline.py run --local --recipe plates --set data.tag=plates_ann_v1
python pipeline.py run --recipe plates --set data.tag=plates_ann_v1 --wait
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

ROOT = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "shared")]

from components import BASE_IMAGE  # noqa: E402  (only now can they be found)
from sightline.cli import kubeflow  # noqa: E402

if TYPE_CHECKING:
    from kfp.dsl.base_component import BaseComponent

STEPS = ("record", "train", "evaluate", "test")


def build(steps: Sequence[str] = STEPS) -> "BaseComponent":
    """The pipeline, with the steps that are asked for and no others.

    A step whose predecessor is not in the graph goes on from that step's last result, which it finds in the result
    bucket by dataset tag and configuration; so it is never cached by Kubeflow, which could not see that result change.
    The same holds for evaluate, which reads the present champion.

    Args:
        steps: Some of :data:`STEPS`, in any order; resolve is always there.
    """
    from kfp import dsl, kubernetes

    from components import WORK_PATH, WORK_VOLUME
    from components.evaluate.component import evaluate
    from components.record.component import record
    from components.resolve.component import resolve
    from components.test.component import test
    from components.train.component import train
    from sightline.steps.journal import TITLES

    def add(step: str, component: Callable[..., Any], *, cached: bool, **inputs: Any) -> Any:
        task = component(**inputs).set_display_name(TITLES[step]).set_caching_options(cached)
        return kubernetes.mount_pvc(task, pvc_name=WORK_VOLUME, mount_path=WORK_PATH)

    @dsl.pipeline(name="sightline", display_name="Sightline")
    def sightline(dataset_tag: str = "", recipe: str = "plates", overrides: str = "", code_rev: str = "") -> None:
        """From a dataset tag to a selected, tested and traceable model.

        Args:
            dataset_tag: Annotation tag, such as plates_ann_v1.
            recipe: Name of a recipe that comes with Sightline, such as plates or instance_segmentation.
            overrides: Changes of the recipe, one a line, such as train.iterations=800
            code_rev: Code revision to run; empty: the code that is there.
        """
        parameters = {"dataset_tag": dataset_tag, "recipe": recipe, "overrides": overrides, "code_rev": code_rev}
        resolved = add("resolve", resolve, cached=False, **parameters).outputs
        given = {"config": resolved["config"], "code_rev": resolved["code_rev"]}
        recorded = trained = evaluated = ""
        if "record" in steps:
            recorded = add("record", record, cached=True, **given).outputs["result"]
        if "train" in steps:
            task = add("train", train, cached="record" in steps, **given, record_result=recorded)
            trained = task.outputs["result"]
        if "evaluate" in steps:
            evaluated = add("evaluate", evaluate, cached=False, **given, train_result=trained).outputs["result"]
        if "test" in steps:
            add("test", test, cached="evaluate" in steps, **given, evaluate_result=evaluated)

    return sightline


def _steps(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:  # noqa: ARG001
    asked = [step.strip() for step in value.split(",") if step.strip()]
    unknown = [step for step in asked if step not in STEPS]
    if unknown or not asked:
        raise click.BadParameter(f"{', '.join(unknown) or 'nothing'}: expected some of {','.join(STEPS)}")
    return tuple(step for step in STEPS if step in asked)


steps_option = click.option(
    "--steps", default=",".join(STEPS), callback=_steps, show_default=True, help="The steps to run, with commas."
)


@click.group()
def cli() -> None:
    """Compile and run Sightline's pipeline."""


@cli.command("compile")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default="pipeline.yaml")
@steps_option
def compile_command(output: Path, steps: tuple[str, ...]) -> None:
    """Write the pipeline as the YAML file that is uploaded to Kubeflow."""
    from sightline.steps.journal import write_atomically

    write_atomically(output, compile_yaml(steps))
    click.echo(f"wrote {output}")


def compile_yaml(steps: Sequence[str] = STEPS) -> str:
    """The compiled pipeline: equal steps give equal text, ASCII only (the server's MySQL knows no more)."""
    import tempfile

    from kfp import compiler

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(build(steps), str(path))
        text = path.read_text(encoding="utf-8")
    assert text.isascii(), "a component's docstring holds characters that Kubeflow's database cannot store"  # noqa: S101
    return text


@cli.command("run")
@click.option("--local", is_flag=True, help="Run on this machine, not on Kubeflow.")
@click.option("--recipe", default="plates", show_default=True, help="Name of a recipe, or path of a YAML file.")
@click.option("--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Change the recipe; may be repeated.")
@steps_option
@kubeflow.run_options
def run_command(local: bool, recipe: str, overrides: tuple[str, ...], steps: tuple[str, ...], **options: Any) -> None:
    """Run the pipeline: on Kubeflow, after a check that all it stands on is there; or on this machine."""
    if not local:
        name = kubeflow.pipeline_name(options["pipeline"], steps, STEPS)
        kubeflow.start(lambda: compile_yaml(steps), name, recipe, overrides, options)
        return
    kubeflow.refuse_run_options()
    from sightline.steps.run import LocalRun

    run = LocalRun.begin(recipe, overrides, steps, entry_point=f"python {Path(sys.argv[0]).name}")
    with run:
        run_local(build(steps), run.parameters, run.folder, run.environment)
    click.echo(f"report: {run.page}")
    click.echo(run.result_line())


def run_local(
    pipeline: Callable[..., Any], parameters: dict[str, str], folder: Path, environment: dict[str, str]
) -> None:
    """Run a pipeline with Kubeflow's local runner, each task in a process of its own.

    Args:
        pipeline: From :func:`build`.
        parameters: The pipeline's parameters.
        folder: Where Kubeflow keeps artifacts and its log.
        environment: Variables for the tasks.
    """
    import warnings

    from kfp import local

    from sightline.steps.console import only_own_lines

    os.environ.update(environment)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "shared"), os.environ.get("PYTHONPATH")]))
    warnings.filterwarnings("ignore", message=r".*have no effect in the current local runner", category=UserWarning)
    runner = local.SubprocessRunner(use_venv=False)
    local.init(runner=runner, pipeline_root=str(folder / "kubeflow"), raise_on_error=True)
    with only_own_lines(folder / "pipeline.log"):
        pipeline(**parameters)


kubeflow.register(cli, compile_yaml, STEPS, steps_option, BASE_IMAGE)

if __name__ == "__main__":
    from sightline.cli import run_cli

    run_cli(cli)
