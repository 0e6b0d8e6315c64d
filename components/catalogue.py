"""The components as files that other teams load into pipelines of their own: component.yaml and README.md of each."""

import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

NAMES = ("resolve", "record", "train", "evaluate", "promote", "test", "finish")
FOLDER = Path(__file__).parent

_RESOURCES = {
    "resolve": "an instant, 0.5 GiB",
    "record": "2 CPU and 4 GiB for some ten thousand images",
    "train": "a GPU, 4 CPU, 16 GiB, 2 GiB of shared memory at /dev/shm",
    "evaluate": "as train",
    "promote": "an instant, 1 GiB; where another run has changed the champion meanwhile, 2 CPU and 4 GiB; no GPU",
    "test": "as train",
    "finish": "an instant, 0.5 GiB",
}

_EXAMPLE = """from kfp import components, dsl

{name} = components.load_component_from_file("components/{name}/component.yaml")


@dsl.pipeline
def mine({parameters}):
    {call}
"""

_README = """# {name}

{description}

Generated from [component.py](component.py) by `python pipeline.py components`; do not edit.

| input | type | default | meaning |
| --- | --- | --- | --- |
{inputs}

| output | type | meaning |
| --- | --- | --- |
{outputs}

- **Image**: `{image}`; another by `task.set_container_image(...)`.
- **Resources**: {resources}.
- **Volumes, settings, secrets**: `in_pod(task, "{name}", claims, resources)` of
  [components/pod.py](../pod.py) asks for all of them.

```python
{example}```
"""


def files() -> Iterator[tuple[Path, str]]:
    """What should stand in every component's folder: path -> text."""
    for name in NAMES:
        component = getattr(import_module(f"components.{name}.component"), name)
        yield FOLDER / name / "component.yaml", compiled(component)
        yield FOLDER / name / "README.md", readme(name, component)


def compiled(component: Any) -> str:
    """A component as YAML."""
    from kfp import compiler

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "component.yaml"
        compiler.Compiler().compile(component, str(path))
        return path.read_text(encoding="utf-8")


def readme(name: str, component: Any) -> str:
    """The page of one component, from its signature and docstring."""
    from docstring_parser import parse

    specification = component.component_spec
    documentation = parse(component.python_func.__doc__)
    meaning = {entry.arg_name: _oneline(entry.description) for entry in documentation.params}
    meaning |= {key: _oneline(value.description) for key, value in specification.outputs.items() if value.description}
    inputs = {key: value for key, value in specification.inputs.items() if value.type != "PipelineTaskFinalStatus"}
    lines = [f"| `{key}` | {_type(value)} | {_default(value)} | {meaning[key]} |" for key, value in inputs.items()]
    made = [f"| `{key}` | {_type(value)} | {meaning[key]} |" for key, value in specification.outputs.items()]
    return _README.format(
        name=name,
        description=specification.description.strip(),
        inputs="\n".join(lines),
        outputs="\n".join(made),
        image=specification.implementation.container.image,
        resources=_RESOURCES[name],
        example=_example(name, [key for key, value in inputs.items() if not value.optional]),
    )


def _example(name: str, required: list[str]) -> str:
    call = f"{name}({', '.join(f'{key}={key}' for key in required)})"
    if name == "finish":
        call = f"with dsl.ExitHandler({call}):\n        ...  # every other task"
    return _EXAMPLE.format(name=name, parameters=", ".join(f"{key}: str" for key in required), call=call)


def _type(value: Any) -> str:
    """``String`` as it is, ``system.HTML@0.0.1`` as HTML."""
    return str(value.type).removeprefix("system.").partition("@")[0]


def _default(value: Any) -> str:
    return "required" if not value.optional else f"`{value.default!r}`"


def _oneline(text: str | None) -> str:
    return " ".join((text or "").split())
