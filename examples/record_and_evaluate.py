"""A pipeline of your own that loads two of Sightline's components: record new annotations, evaluate models on them.

The full configuration is a parameter; docs/kubeflow.md shows how to print it with the settings of the cluster
(``sightline config show --json``).  ``python examples/record_and_evaluate.py`` compiles the pipeline to
record_and_evaluate.yaml.
"""

from pathlib import Path

from kfp import compiler, components, dsl, kubernetes

COMPONENTS = Path(__file__).parents[1] / "components"

record = components.load_component_from_file(str(COMPONENTS / "record" / "component.yaml"))
evaluate = components.load_component_from_file(str(COMPONENTS / "evaluate" / "component.yaml"))


@dsl.pipeline(name="record-and-evaluate")
def record_and_evaluate(config: str, code_rev: str = "image", work_volume: str = "sightline-work") -> None:
    """Publish the annotations as a training set, then evaluate the candidates of the last training on it.

    The last training is one on this version of the dataset, or else one on another version with the same configuration.

    Args:
        config: The full configuration as JSON.
        code_rev: The code revision; image is the code in the images.
        work_volume: Claim of the work volume.
    """
    recorded = record(config=config, code_rev=code_rev)
    evaluated = evaluate(config=config, code_rev=code_rev).after(recorded)
    for task in (recorded, evaluated):
        kubernetes.mount_pvc(task, pvc_name=work_volume, mount_path="/var/lib/sightline")


if __name__ == "__main__":
    compiler.Compiler().compile(record_and_evaluate, "record_and_evaluate.yaml")
