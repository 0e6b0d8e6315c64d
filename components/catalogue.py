"""The components as files that other teams load into their own pipelines.

Each component.py is accompanied by component.yaml, README.md and metadata.yaml, which has the fields of Kubeflow's own
repository of components (kubeflow/pipelines-components): name, stability, dependencies, tags, lastVerified.
"""

import re
import tempfile
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from sightline.runs.step_table import BY_NAME

NAMES = tuple(BY_NAME)
FOLDER = Path(__file__).parent

STABILITY = "beta"
"""Stability of every component: inputs and outputs may change with a release, as stated in the changelog."""

BACK_END = "2.17.0"
"""The version of Kubeflow Pipelines on which ``make kubeflow-test`` last passed."""

VERIFIED = "2026-11-28T18:28:00Z"
"""When it last passed, UTC; update both after running it."""

_METADATA = """name: {name}
stability: {stability}
dependencies:
  kubeflow:
    - name: Pipelines
      version: '>={back_end}'
    - name: kfp
      version: '=={kfp}'
    - name: kfp-kubernetes
      version: '=={kfp_kubernetes}'
  external_services:
    - name: MySQL
      version: '>={mysql}'
tags: [{tags}]
lastVerified: {verified}
links:
  documentation: README.md
  source: component.py
"""

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

- **Image**: `{image}`; `task.set_container_image(...)` sets another.
- **Resources**: {resources}.
- **Volumes, settings, secrets**: `in_pod(task, "{name}", claims, resources)` of
  [components/pod.py](../pod.py) sets all of them.

```python
{example}```
"""


def files() -> Iterator[tuple[Path, str]]:
    """The files of all components: path -> text."""
    for name in NAMES:
        component = getattr(import_module(f"components.{name}.component"), name)
        yield FOLDER / name / "component.yaml", compiled(component)
        yield FOLDER / name / "README.md", readme(name, component)
        yield FOLDER / name / "metadata.yaml", metadata(name)


def metadata(name: str) -> str:
    """The metadata of a component; the versions are those in pyproject.toml and the code.

    MySQL represents the database of a team; MariaDB and, on one machine, SQLite also work.
    """
    from sightline.database.engine.server import OLDEST

    return _METADATA.format(
        name=name,
        stability=STABILITY,
        back_end=BACK_END,
        kfp=_pinned("kfp"),
        kfp_kubernetes=_pinned("kfp-kubernetes"),
        mysql=".".join(map(str, (*OLDEST["MySQL"], 0))),
        tags=", ".join(BY_NAME[name].tags),
        verified=VERIFIED,
    )


def _pinned(distribution: str) -> str:
    """The version to which pyproject.toml pins a distribution."""
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [one.partition("==") for one in project["optional-dependencies"]["kfp"]]
    return next(version for name, _, version in wanted if name == distribution and re.fullmatch(r"[\d.]+", version))


def compiled(component: Any) -> str:
    """A component as YAML."""
    from kfp import compiler

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "component.yaml"
        compiler.Compiler().compile(component, str(path))
        return path.read_text(encoding="utf-8")


def readme(name: str, component: Any) -> str:
    """The README of one component, from its signature and docstring."""
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
        resources=BY_NAME[name].needs,
        example=_example(name, [key for key, value in inputs.items() if not value.optional]),
    )


def _example(name: str, required: list[str]) -> str:
    call = f"{name}({', '.join(f'{key}={key}' for key in required)})"
    if name == "finish":
        call = f"with dsl.ExitHandler({call}):\n        ...  # every other task"
    return _EXAMPLE.format(name=name, parameters=", ".join(f"{key}: str" for key in required), call=call)


def _type(value: Any) -> str:
    """The type in short form: ``String`` is kept, ``system.HTML@0.0.1`` becomes HTML."""
    return str(value.type).removeprefix("system.").partition("@")[0]


def _default(value: Any) -> str:
    return "required" if not value.optional else f"`{value.default!r}`"


def _oneline(text: str | None) -> str:
    return " ".join((text or "").split())
