# ruff: noqa: T201  (what its tasks print is what their logs hold)
"""Pipelines that are small enough to be run in a test; compiled by kfp itself."""

import tempfile
from pathlib import Path

from components import BASE_IMAGE


def compiled(pipeline):
    """The compiled text of a pipeline."""
    from kfp import compiler

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(pipeline, str(path))
        return path.read_text()


def hello(image, name):
    """Six tasks that do nothing, one after another: what a task costs by itself."""
    from kfp import dsl

    @dsl.component(base_image=image, install_kfp_package=False)
    def greet(whom: str) -> str:
        return f"hello {whom}"

    @dsl.pipeline(name=name)
    def pipeline(recipe: str = "plates", overrides: str = "", dataset_tag: str = "", code_rev: str = ""):
        said = dataset_tag
        for _ in range(6):
            task = greet(whom=said).set_caching_options(enable_caching=False).set_cpu_limit("1")
            said = task.output

    return compiled(pipeline)


EMPTY_BODY = """
import json, pathlib, sys
outputs = json.loads(sys.argv[-1]).get("outputs", {})
for name, one in outputs.get("parameters", {}).items():
    path = pathlib.Path(one["outputFile"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}" if name == "result" else "yes")
"""
"""What a task of :func:`emptied` does: its result is empty, and every other output is yes."""


def emptied(compiled_text):
    """A compiled pipeline whose tasks do nothing; all that is said of their pods stays."""
    import yaml

    specification, platform = yaml.safe_load_all(compiled_text)
    for name, executor in specification["deploymentSpec"]["executors"].items():
        body = f"{EMPTY_BODY}# {name}\n"  # the back end takes tasks of equal commands for one
        executor["container"] |= {"command": ["python3", "-c", body], "args": ["{{$}}"]}
    return yaml.safe_dump_all([specification, platform], sort_keys=False)


def components_of_the_story(image):
    """resolve, work, small and finish."""
    from kfp import dsl

    @dsl.component(base_image=image, install_kfp_package=False)
    def resolve(recipe: str, overrides: str, dataset_tag: str, code_rev: str) -> str:
        import time

        print(f"resolving {recipe} for {dataset_tag}", flush=True)
        if "lasting" in dataset_tag:
            time.sleep(30)
        return f"{recipe} {dataset_tag}"

    @dsl.component(base_image=image, install_kfp_package=False)
    def work(config: str) -> float:
        import os
        import sys
        import time
        from pathlib import Path

        print("working on", config, flush=True)
        attempts = Path("/data", config.replace(" ", "-"))
        attempts.write_text((attempts.read_text() if attempts.exists() else "") + "x")
        if "slow" in config:
            for second in range(40):
                print("second", second, flush=True)
                time.sleep(1)
        if "failing" in config and len(attempts.read_text()) <= 2:
            print("cannot go on: the sky fell", file=sys.stderr)
            os._exit(3)
        print("metrics: box_AP50=0.871 EIR=0.93")
        return 0.87

    @dsl.component(base_image=image, install_kfp_package=False)
    def small(name: str) -> str:
        return name

    @dsl.component(base_image=image, install_kfp_package=False)
    def finish(status: dsl.PipelineTaskFinalStatus):
        print("the run ended", status.state)

    return resolve, work, small, finish


def story(image=BASE_IMAGE, name="sightline-story"):
    """Groups, a condition, a loop, retries, secrets, volumes, an exit task; parameters as Sightline's pipeline has."""
    from kfp import dsl, kubernetes

    resolve, work, small, finish = components_of_the_story(image)

    @dsl.pipeline(name=name)
    def pipeline(
        dataset_tag: str = "",
        recipe: str = "plates",
        overrides: str = "",
        code_rev: str = "",
        secret: str = "story-secret",
        claim: str = "story",
    ):
        with dsl.ExitHandler(finish().set_display_name("Finish"), name="all"):
            resolved = resolve(recipe=recipe, overrides=overrides, dataset_tag=dataset_tag, code_rev=code_rev)
            resolved.set_caching_options(False).set_display_name("Resolve")
            worked = work(config=resolved.output).set_display_name("Train candidates")
            worked.set_retry(1, backoff_duration="1s")
            kubernetes.use_secret_as_env(worked, secret, {"password": "PASSWORD"})
            kubernetes.mount_pvc(worked, pvc_name=claim, mount_path="/data")
            with dsl.If(worked.output > 0.5, name="better"):
                small(name="promote").set_display_name("Promote")
            with dsl.If(worked.output > 0.9, name="much better"):
                small(name="celebrate").set_display_name("Celebrate")
            with dsl.ParallelFor(["a", "b"], name="each") as item:
                small(name=item).after(worked)

    return compiled(pipeline)
