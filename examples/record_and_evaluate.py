"""A pipeline of another team that loads two of Sightline's components: new annotations in, models measured on them.

The configuration is a parameter, so no task makes it; docs/kubeflow.md shows the call of ``sightline config show
--json`` that makes it with the cluster's settings.  Compile with ``python examples/record_and_evaluate.py``; it writes
record_and_evaluate.yaml.
"""

from pathlib import Path

from kfp import compiler, components, dsl, kubernetes

COMPONENTS = Path(__file__).parents[1] / "components"

record = components.load_component_from_file(str(COMPONENTS / "record" / "component.yaml"))
evaluate = components.load_component_from_file(str(COMPONENTS / "evaluate" / "component.yaml"))


@dsl.pipeline(name="record-and-evaluate")
def record_and_evaluate(config: str, code_rev: str = "image", work_volume: str = "sightline-work") -> None:
    """Publish the annotations as a training set, then measure on it the candidates that were trained last.

    Those were trained on this version of the dataset, or else on another one with the same training configuration.

    Args:
        config: The full configuration as JSON.
        code_rev: The helper code; image is what the images hold.
        work_volume: Claim of the volume that the steps work on.
    """
    recorded = record(config=config, code_rev=code_rev)
    evaluated = evaluate(config=config, code_rev=code_rev).after(recorded)
    for task in (recorded, evaluated):
        kubernetes.mount_pvc(task, pvc_name=work_volume, mount_path="/var/lib/sightline")


if __name__ == "__main__":
    compiler.Compiler().compile(record_and_evaluate, "record_and_evaluate.yaml")
