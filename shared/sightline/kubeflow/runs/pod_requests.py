"""The resource requests of the pod of a task, read from the compiled pipeline like the driver of the back end does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from sightline.kubeflow.client.document import Document
from sightline.kubeflow.quantity import parse_quantity

PARAMETER = re.compile(r"\{\{\$\.inputs\.parameters\['(?P<name>[^']+)'\]\}\}")
_INNER = "pipelinechannel--"
_RESOURCES = (
    # resource, keys of the compiled text (the first one that is set counts), older numeric keys, and their unit
    ("cpu", ("resourceCpuRequest", "resourceCpuLimit"), ("cpuRequest", "cpuLimit"), ""),
    ("memory", ("resourceMemoryRequest", "resourceMemoryLimit"), ("memoryRequest", "memoryLimit"), "G"),
)


def requests_of(resources: Document, given: Mapping[str, Any]) -> dict[str, Fraction]:
    """Resource -> amount that a container requests; without a request, the limit counts, as in Kubernetes.

    Args:
        resources: ``container.resources`` of the compiled text.
        given: The inputs of the task in this run.
    """
    amounts: dict[str, Fraction] = {}
    for name, texts, numbers, unit in _RESOURCES:
        read = [text for key in texts if (text := _resolved(resources.get(key), given))]
        read += [f"{resources[key]}{unit}" for key in numbers if resources.get(key)]
        _put(amounts, name, read)
    accelerator = resources.get("accelerator") or {}
    kind = _resolved(accelerator.get("resourceType"), given) or str(accelerator.get("type") or "")
    count = _resolved(accelerator.get("resourceCount"), given) or str(accelerator.get("count") or "")
    if kind and count:
        _put(amounts, kind, [count])
    return amounts


def dropped_parameters(resources: Document, given: Mapping[str, Any]) -> tuple[str, ...]:
    """Pipeline parameters that the driver ignores silently: it reads accelerators as strings, and these are not."""
    named = []
    for text in (resources.get("accelerator") or {}).values():
        match = PARAMETER.fullmatch(str(text))
        value = given.get(match["name"]) if match else ""
        if match and value is not None and not isinstance(value, str):
            named.append(match["name"].removeprefix(_INNER))
    return tuple(named)


def amount_parameters(resources: Document, given: Mapping[str, Any]) -> dict[str, str]:
    """Resource -> the pipeline parameter with the amount that a container gets."""
    accelerator = resources.get("accelerator") or {}
    texts = {name: next(filter(None, map(resources.get, keys)), "") for name, keys, _, _ in _RESOURCES}
    texts[_resolved(accelerator.get("resourceType"), given)] = accelerator.get("resourceCount")
    matches = {name: PARAMETER.fullmatch(str(text)) for name, text in texts.items() if name}
    return {name: match["name"].removeprefix(_INNER) for name, match in matches.items() if match}


def node_choice(pod: Document, read: Callable[[Document], Any]) -> tuple[dict[str, str], tuple[Document, ...]]:
    """Node selector and tolerations of a pod.

    Args:
        pod: The platform part of the compiled text for this task.
        read: Returns the value of a parameter to which it refers.
    """
    selector = pod.get("nodeSelector") or {}
    labels = read(selector["nodeSelectorJson"]) if "nodeSelectorJson" in selector else selector.get("labels")
    tolerations: list[Document] = []
    for entry in pod.get("tolerations") or []:
        one = read(entry["tolerationJson"]) if "tolerationJson" in entry else entry
        tolerations += one if isinstance(one, list) else [one] if one else []
    chosen = {str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {}
    return chosen, tuple(one for one in tolerations if isinstance(one, dict))


def _resolved(text: object, given: Mapping[str, Any]) -> str:
    """A value of the compiled text; a parameter that is not a string counts as empty, as in the driver."""
    match = PARAMETER.fullmatch(str(text or ""))
    if not match:
        return str(text or "")
    value = given.get(match["name"])
    return value if isinstance(value, str) else ""


def _put(amounts: dict[str, Fraction], name: str, texts: list[str]) -> None:
    for text in texts[:1]:
        try:
            amounts[name] = parse_quantity(text)
        except ValueError:  # check_pods has checked the parameters of Sightline's own pipeline
            continue
