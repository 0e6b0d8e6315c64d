"""Sightline's pipeline: the graph on one screen, and the commands that compile and run it::

python pipeline.py compile -o pipeline.yaml
python pipeline.py run --local --recipe plates --set data.tag=plates_ann_v1
python pipeline.py run --recipe plates --set data.tag=plates_ann_v1 --wait
"""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

ROOT = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "shared")]

from components import BASE_IMAGE  # noqa: E402  (after the change of sys.path)
from sightline.cli.kubeflow import commands as kubeflow  # noqa: E402
from sightline.runs.step_table import BY_NAME, OPEN_ME, STEPS  # noqa: E402

if TYPE_CHECKING:
    from kfp.dsl.base_component import BaseComponent


def build(steps: Sequence[str] = STEPS, *, local: bool = False) -> "BaseComponent":
    """The pipeline with the selected steps.

    A step whose predecessor is not in the graph uses the last result of that step, which it finds in the result bucket
    by dataset tag and configuration.  Kubeflow never caches such a step, because it cannot see changes of that result.
    The same applies to evaluate, which reads the current champion.

    Args:
        steps: Some of :data:`STEPS`, in any order; resolve is always included.
        local: For Kubeflow's local runners.  There is no finish, because the process that starts the runner closes the
            run.  promote has no condition, because the runners cannot evaluate one on a named output; it does nothing
            without a new champion.  The images are those of the components, because the runners do not resolve an
            image that is a parameter.
    """
    from kfp import dsl

    from components import BASE_IMAGE, TRAIN_IMAGE
    from components.pod import Claims, Resources, in_pod

    @dsl.pipeline(name="sightline", display_name="Sightline")
    def sightline(
        dataset_tag: str = "",
        recipe: str = "",
        overrides: str = "",
        code_rev: str = "image",
        base_image: str = BASE_IMAGE,
        train_image: str = TRAIN_IMAGE,
        accelerator_type: str = "nvidia.com/gpu",
        accelerator_count: str = "1",
        train_cpu: str = "4",
        train_memory: str = "16Gi",
        record_cpu: str = "2",
        record_memory: str = "4Gi",
        node_selector: dict = {},  # noqa: B006  (Kubeflow stores it; nothing here changes it)
        tolerations: list = [],  # noqa: B006
        work_volume: str = "sightline-work",
        code_volume: str = "sightline-code",
        database_secret: str = "sightline-database",  # noqa: S107  (names of secrets, not secrets)
        git_secret: str = "sightline-git",  # noqa: S107
        storage_secret: str = "sightline-storage",  # noqa: S107
        notify_secret: str = "sightline-notify",  # noqa: S107
    ) -> None:
        """From a dataset tag to a selected, tested and traceable model.

        Args:
            dataset_tag: Annotation tag, such as plates_ann_v1.
            recipe: Name of a recipe of Sightline, such as instance_segmentation; required.
            overrides: Changes to the recipe, one per line, such as train.iterations=800
            code_rev: Code to run: image (the code in the images), current (published last), or a digest.
            base_image: Image of resolve, record and finish.
            train_image: Image of train, evaluate, promote and test.
            accelerator_type: Kubernetes resource name of the accelerator, such as nvidia.com/gpu.
            accelerator_count: Accelerators per task; a string, such as "1"; "0" runs on the CPU.
            train_cpu: CPU limit of train, evaluate and test, such as 4 or 500m.
            train_memory: Memory limit of train, evaluate and test, such as 16Gi.
            record_cpu: CPU limit of resolve, record, promote and finish.
            record_memory: Memory limit of resolve, record, promote and finish.
            node_selector: Labels of the nodes for train, evaluate and test.
            tolerations: Taints that train, evaluate and test tolerate.
            work_volume: Claim of the work volume.
            code_volume: Claim of the volume with the published code.
            database_secret: Secret with the key password, the password of the database.
            git_secret: Secret with the key token, for the data repository.
            storage_secret: Secret with the key key.json, for Google Storage; not needed with workload identity.
            notify_secret: Secret with the key url, a webhook that is notified when the run ends.
        """
        claims = Claims(work_volume, code_volume, database_secret, git_secret, storage_secret, notify_secret)
        images = {"base": base_image, "train": train_image}
        heavy = Resources(
            train_image, train_cpu, train_memory, node_selector, tolerations, accelerator_type, accelerator_count
        )
        light = {name: Resources(image, record_cpu, record_memory) for name, image in images.items()}

        def add(step: str, component: Callable[..., Any], *, cached: bool = False, **inputs: Any) -> Any:
            about = BY_NAME[step]
            task = component(**inputs).set_display_name(about.title).set_caching_options(cached)
            return task if local else in_pod(task, step, claims, heavy if about.accelerated else light[about.image])

        asked = {"dataset_tag": dataset_tag, "recipe": recipe, "overrides": overrides}
        _graph(steps, add, asked, code_rev, local=local)

    return sightline


def _graph(steps: Sequence[str], add: Callable[..., Any], asked: dict[str, Any], code_rev: Any, *, local: bool) -> None:
    """The tasks, and what each passes to the next; kfp registers every task that is created here.

    Args:
        steps: As for :func:`build`.
        add: Creates a task from a component: ``add(step, component, cached=..., **inputs)``.
        asked: The requested dataset tag, recipe and overrides.
        code_rev: The requested code revision.
        local: As for :func:`build`.
    """
    from kfp import dsl

    from components.evaluate.component import evaluate
    from components.finish.component import finish
    from components.promote.component import promote
    from components.record.component import record
    from components.resolve.component import resolve
    from components.test.component import test
    from components.train.component import train

    inside = OPEN_ME + ", ".join(steps)
    with dsl.ExitHandler(add("finish", finish, **asked), name=inside) if not local else nullcontext():
        run_name = "" if local else dsl.PIPELINE_JOB_NAME_PLACEHOLDER
        more = {"code_rev": code_rev, "steps": ",".join(steps), "run_name": run_name}
        resolved = add("resolve", resolve, **asked, **more).outputs
        given = {"config": resolved["config"], "code_rev": resolved["code_rev"]}
        recorded: Any = {}
        trained: Any = {}
        evaluated: Any = {}
        if "record" in steps:
            recorded = add("record", record, cached=True, **given).outputs["result"]
        if "train" in steps:
            task = add("train", train, cached="record" in steps, **given, record_result=recorded)
            trained = task.outputs["result"]
        if "evaluate" in steps:
            decided = add("evaluate", evaluate, **given, train_result=trained)
            evaluated = decided.outputs["result"]
            better = decided.outputs["promoted"] == "yes"
            with dsl.If(better, name="New champion") if not local else nullcontext():
                promoted = add("promote", promote, **given, train_result=trained)
        if "test" in steps:
            tested = add("test", test, cached="evaluate" in steps, **given, evaluate_result=evaluated)
        if local and "evaluate" in steps:
            promoted.after(decided)
            if "test" in steps:
                tested.after(promoted)


def _steps(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:  # noqa: ARG001
    asked = [step.strip() for step in value.split(",") if step.strip()]
    unknown = [step for step in asked if step not in STEPS]
    if unknown or not asked:
        raise click.BadParameter(f"{', '.join(unknown) or 'nothing'}: expected some of {','.join(STEPS)}")
    return tuple(step for step in STEPS if step in asked)


steps_option = click.option(
    "--steps", default=",".join(STEPS), callback=_steps, show_default=True, help="Steps to run, separated by commas."
)


@click.group()
def cli() -> None:
    """Compile and run Sightline's pipeline."""


@cli.command("compile")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default="pipeline.yaml", help="File to write."
)
@steps_option
def compile_command(output: Path, steps: tuple[str, ...]) -> None:
    """Write the pipeline as the YAML file that Kubeflow runs."""
    from sightline.own_file import require_own
    from sightline.runs.journal import write_atomically

    require_own(output, (b"# PIPELINE DEFINITION", b"# Name: sightline\n"), "a compiled pipeline of Sightline", "-o")
    write_atomically(output, compile_yaml(steps))
    click.echo(f"wrote {output}")


def compile_yaml(steps: Sequence[str] = STEPS) -> str:
    """The compiled pipeline: equal steps give equal text; ASCII only, because Kubeflow's MySQL stores nothing else."""
    import tempfile

    from kfp import compiler

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(build(steps), str(path))
        text = path.read_text(encoding="utf-8")
    assert text.isascii(), "a component's docstring contains characters that Kubeflow's database cannot store"  # noqa: S101
    return text


@cli.command("components")
@click.option("--check", is_flag=True, help="Write nothing; fail if a file is out of date.")
def components_command(check: bool) -> None:
    """Write the files that describe the components.

    Each component has a component.yaml, README.md and metadata.yaml.  Pipelines of other teams load them by file or
    URL.
    """
    from components import catalogue
    from sightline.runs.journal import write_atomically

    wanted = {path: text for path, text in catalogue.files() if not path.is_file() or path.read_text() != text}
    if check and wanted:
        names = ", ".join(str(path.relative_to(ROOT)) for path in wanted)
        raise click.ClickException(f"{names}: out of date; run python pipeline.py components")
    for path, text in wanted.items():
        write_atomically(path, text)
    click.echo(
        f"{len(wanted)} files written" if wanted else "every component.yaml, README.md and metadata.yaml is up to date"
    )


@cli.command("run")
@click.option("--local", is_flag=True, help="Run on this machine, not on Kubeflow.")
@click.option(
    "--recipe", default="", metavar="NAME", help="Recipe (sightline config list); with --local also a YAML file."
)
@click.option("--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Change the recipe; repeatable.")
@steps_option
@kubeflow.run_options
def run_command(local: bool, recipe: str, overrides: tuple[str, ...], steps: tuple[str, ...], **options: Any) -> None:
    """Run the pipeline, on Kubeflow or on this machine.

    On Kubeflow, everything is checked first; nothing is uploaded if something is missing.
    """
    if not local:
        name = kubeflow.pipeline_name(options["pipeline"], steps, STEPS)
        kubeflow.start(lambda: compile_yaml(steps), name, recipe, overrides, options)
        return
    kubeflow.refuse_run_options()
    from sightline.runs.local_run import LocalRun

    run = LocalRun.begin(recipe, overrides, steps, entry_point=f"python {Path(sys.argv[0]).name}")
    with run:
        run_local(build(steps, local=True), run.parameters, run.folder, run.environment)
    click.echo(f"report: {run.page}")
    for line in [*run.champion_lines(), run.result_line()]:
        click.echo(line)


def run_local(
    pipeline: Callable[..., Any], parameters: dict[str, str], folder: Path, environment: dict[str, str]
) -> None:
    """Run a pipeline with Kubeflow's local runner, each task in its own process.

    Args:
        pipeline: From :func:`build`.
        parameters: The pipeline's parameters.
        folder: Folder for the artifacts and the log of Kubeflow.
        environment: Variables for the tasks.
    """
    import warnings

    from kfp import local

    from sightline.runs.console import only_own_lines

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
