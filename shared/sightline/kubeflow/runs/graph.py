"""The graph of a pipeline from its compiled text: tasks in the order in which they may run, and groups of tasks.

Parameters of the run are followed into groups, to find the names of secrets, claims and ConfigMaps that are set by
parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sightline.errors import KubeflowError
from sightline.kubeflow.capacity import Needs
from sightline.kubeflow.client.document import Document
from sightline.kubeflow.runs.pod_requests import (
    PARAMETER,
    amount_parameters,
    dropped_parameters,
    node_choice,
    requests_of,
)

Kind = Literal["task", "condition", "loop", "group"]


@dataclass(frozen=True)
class Wants:
    """The objects that a pod needs to start, by name.

    Attributes:
        secrets: Secret -> required keys.
        config_maps: ConfigMap -> required keys.
        claims: Persistent volume claims.
        welcome: Optional secret -> keys that are used if it exists.
    """

    secrets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    config_maps: Mapping[str, frozenset[str]] = field(default_factory=dict)
    claims: frozenset[str] = frozenset()
    welcome: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Vertex:
    """A task, or a group of tasks.

    Attributes:
        name: Its key in the compiled text, which is also its name in the back end.
        title: Its display name.
        kind: Task, condition, loop or group.
        image: Container image of a task in this run.
        after: Names of tasks and groups in the same group that must end before.
        wants: The objects that the pod of a task needs to start.
        needs: The resources that the pod of a task requests.
        dropped: Parameters of a task with a number of accelerators in a type that the driver ignores.
        inside: Members of a group, in order.
    """

    name: str
    title: str
    kind: Kind
    image: str = ""
    after: tuple[str, ...] = ()
    wants: Wants = field(default_factory=Wants)
    needs: Needs = field(default_factory=Needs)
    dropped: tuple[str, ...] = ()
    inside: tuple[Vertex, ...] = ()

    def tasks(self) -> list[Vertex]:
        """This task, or all tasks of this group."""
        return [self] if self.kind == "task" else [task for part in self.inside for task in part.tasks()]


def split_spec(compiled: Document) -> tuple[Document, Document]:
    """Split the ``pipeline_spec`` of a version into pipeline and platform."""
    if "pipeline_spec" in compiled:
        return compiled["pipeline_spec"], compiled.get("platform_spec") or {}
    return compiled, {}


def read_graph(spec: Document, platform: Document, given: Mapping[str, Any]) -> tuple[Vertex, ...]:
    """The graph of a compiled pipeline.

    Args:
        spec: The pipeline part.
        platform: The platform part, which follows the ``---``; may be empty.
        given: Parameters of the run; the others have the defaults of the pipeline.

    Raises:
        KubeflowError: The text is not a compiled pipeline in a known format.
    """
    try:
        declared = (spec["root"].get("inputDefinitions") or {}).get("parameters") or {}
        values = {name: entry["defaultValue"] for name, entry in declared.items() if "defaultValue" in entry}
        return _Walk(spec, platform).group(spec["root"]["dag"]["tasks"], {**values, **given})
    except (KeyError, TypeError, AttributeError) as error:
        raise KubeflowError(
            f"the compiled pipeline has an unknown format ({type(error).__name__}: {error}); upload it again"
        ) from error


class _Walk:
    def __init__(self, spec: Document, platform: Document) -> None:
        self.components = spec.get("components") or {}
        self.executors = (spec.get("deploymentSpec") or {}).get("executors") or {}
        kubernetes = (platform.get("platforms") or {}).get("kubernetes") or {}
        self.pods = (kubernetes.get("deploymentSpec") or {}).get("executors") or {}

    def group(self, tasks: Document, values: Mapping[str, Any]) -> tuple[Vertex, ...]:
        """The members of a group, each after its dependencies, otherwise in the order of the text."""
        made = {name: self.vertex(name, task, values) for name, task in tasks.items()}
        ordered: dict[str, Vertex] = {}
        while len(ordered) < len(made):
            ready = [one for name, one in made.items() if name not in ordered and set(one.after) <= ordered.keys()]
            for one in ready or [one for name, one in made.items() if name not in ordered]:
                ordered[one.name] = one
        return tuple(ordered.values())

    def vertex(self, name: str, task: Document, values: Mapping[str, Any]) -> Vertex:
        component = self.components[task["componentRef"]["name"]]
        parameters = (task.get("inputs") or {}).get("parameters") or {}
        passed = {key: value for key, given in parameters.items() if (value := _value(given, values)) is not None}
        after = tuple(task.get("dependentTasks") or ())
        title = str((task.get("taskInfo") or {}).get("name") or name)
        if "dag" in component:
            kind: Kind = "group"
            if "condition" in (task.get("triggerPolicy") or {}):
                kind = "condition"
            elif "parameterIterator" in task or "artifactIterator" in task:
                kind = "loop"
            inside = self.group(component["dag"]["tasks"], passed)
            return Vertex(name, title, kind, after=after, inside=inside)
        label = component["executorLabel"]
        container = self.executors.get(label, {}).get("container") or {}
        image = PARAMETER.sub(lambda match: str(passed.get(match["name"], "")), str(container.get("image") or ""))
        resources, pod = container.get("resources") or {}, self.pods.get(label) or {}
        # The needs of the pod refer to parameters of the surrounding group, not to those of the task.
        choice = node_choice(pod, lambda given: _value(given, values))
        return Vertex(
            name,
            title,
            "task",
            image,
            after,
            wants=_wants(pod, values),
            needs=Needs(requests_of(resources, passed), *choice, amount_parameters(resources, passed)),
            dropped=dropped_parameters(resources, passed),
        )


def _wants(pod: Document, values: Mapping[str, Any]) -> Wants:
    claims = (_value(entry.get("pvcNameParameter") or {}, values) or entry.get("constant") for entry in _mounts(pod))
    return Wants(
        secrets=_named(pod, "secret", values, optional=False),
        config_maps=_named(pod, "configMap", values, optional=False),
        claims=frozenset(str(name) for name in claims if name),
        welcome=_named(pod, "secret", values, optional=True),
    )


def _named(pod: Document, section: str, values: Mapping[str, Any], *, optional: bool) -> dict[str, frozenset[str]]:
    """The secrets or ConfigMaps of a pod, with their keys."""
    found: dict[str, frozenset[str]] = {}
    for entry in [*(pod.get(f"{section}AsEnv") or []), *(pod.get(f"{section}AsVolume") or [])]:
        name = _value(entry.get(f"{section}NameParameter") or {}, values) or entry.get(f"{section}Name")
        if name and bool(entry.get("optional")) == optional:
            keys = {str(pair[f"{section}Key"]) for pair in entry.get("keyToEnv") or []}
            found[str(name)] = found.get(str(name), frozenset()) | keys
    return found


def _mounts(pod: Document) -> list[Document]:
    return [entry for entry in pod.get("pvcMount") or [] if "taskOutputParameter" not in entry]


def _value(given: Document, values: Mapping[str, Any]) -> Any:  # noqa: ANN401  (any parameter's value)
    """The value of a parameter in this run; None if it is not known before the run."""
    if "runtimeValue" in given:
        return given["runtimeValue"].get("constant")
    if "componentInputParameter" in given:
        return values.get(given["componentInputParameter"])
    return None
