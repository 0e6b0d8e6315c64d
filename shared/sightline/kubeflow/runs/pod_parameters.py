"""The pod parameters of a run, checked before they are sent to Kubeflow.

Kubeflow reports little itself: its driver ignores an accelerator count that is not a string, and fails at run time if
the name of a secret is empty, an amount is not a quantity, or labels are not strings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from sightline.errors import ConfigurationError
from sightline.kubeflow.client.document import Document
from sightline.kubeflow.quantity import parse_quantity

LEAST_MEMORY = 16 * 2**20
"""In bytes; an amount below this lacks its unit."""

TAKEN_VOLUMES = ("sightline-settings", "shared-memory")
"""Names of other volumes of the pods, besides the claims and the storage secret."""

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_RESOURCE = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?")
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?")
_COUNT = re.compile(r"0|[1-9]\d{0,3}")
_TOLERATION = {"key", "operator", "value", "effect", "tolerationSeconds"}
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def as_declared(declared: Mapping[str, Document], given: Mapping[str, Any]) -> dict[str, Any]:
    """Convert parameters to the types that the pipeline declares.

    A profile file may contain ``accelerator_count: 1`` or ``train_cpu: 4``, as may runs of earlier releases.

    Args:
        declared: The pipeline's parameters, from its compiled text.
        given: Name -> value; names that are not declared are kept unchanged.

    Raises:
        ConfigurationError: A value cannot be converted to the declared type.
    """
    typed, faults = {}, []
    for name, value in given.items():
        kind = str((declared.get(name) or {}).get("parameterType", ""))
        try:
            typed[name] = _converted(value, kind)
        except ValueError:
            faults.append(f"{name}: expected {_TYPES[kind]}, got {value!r}")
    if faults:
        raise ConfigurationError("; ".join(faults))
    return typed


def takes(declared: Document | None, value: object) -> bool:
    """Whether the back end accepts this value, unconverted, for a parameter with this declaration."""
    kind = str((declared or {}).get("parameterType", ""))
    try:
        return declared is not None and type(_converted(value, kind)) is type(value)
    except ValueError:
        return False


def check_pods(parameters: Mapping[str, Any]) -> None:
    """Raise if no pod can be created with these parameters.

    Args:
        parameters: All parameters of the run, including defaults; unknown names are ignored.

    Raises:
        ConfigurationError: Lists every error.
    """
    faults = [*_single_faults(parameters), *_joint_faults(parameters)]
    if faults:
        raise ConfigurationError("\n".join(faults))


def _converted(value: object, kind: str) -> object:
    if kind == "STRING" and isinstance(value, int | float) and not isinstance(value, bool):
        return str(_whole(value))
    if kind == "NUMBER_INTEGER" and isinstance(value, str):
        return int(value)
    if kind == "NUMBER_DOUBLE" and isinstance(value, str):
        return float(value)
    fitting = {"STRING": isinstance(value, str), "STRUCT": isinstance(value, dict), "LIST": isinstance(value, list)}
    if value is not None and not fitting.get(kind, True):
        raise ValueError(kind)
    return value


_TYPES = {
    "STRING": "a string",
    "NUMBER_INTEGER": "a whole number",
    "NUMBER_DOUBLE": "a number",
    "STRUCT": 'a mapping such as {"pool": "gpu"}',
    "LIST": 'a list such as [{"key": "nvidia.com/gpu", "operator": "Exists"}]',
}


def _count(value: object) -> Iterator[str]:
    if not _COUNT.fullmatch(str(_whole(value))):
        yield "expected a whole number of accelerators per task, 0 or more (0 runs on the CPU)"


def _cpu(value: object) -> Iterator[str]:
    if _amount(value) <= 0:
        yield "expected CPUs such as 4, 0.5 or 500m"


def _memory(value: object) -> Iterator[str]:
    amount = _amount(value)
    if amount <= 0:
        yield "expected memory such as 16Gi, 512Mi or 2G"
    elif amount < LEAST_MEMORY:
        yield f"this is {float(amount):g} bytes; add a unit, as in 16Gi"


def _image(value: object) -> Iterator[str]:
    if not str(value) or re.search(r"\s", str(value)):
        yield "expected an image such as registry.example.com/vision/base-python3.11:0.1.0"


def _volume(value: object) -> Iterator[str]:
    if not _LABEL.fullmatch(str(value)):
        yield "expected a name of up to 63 letters a-z, digits and -, because Kubeflow names the pod's volume after it"


def _secret(value: object) -> Iterator[str]:
    if not _SUBDOMAIN.fullmatch(str(value)):
        yield "expected the name of a Secret, which need not exist"


def _selector(value: object) -> Iterator[str]:
    for key, label in value.items() if isinstance(value, dict) else ():
        if not isinstance(label, str):
            yield f"label {key} is {label!r}; labels are strings: write {_quoted(label)}"
        elif not _LABEL_KEY.fullmatch(str(key)) or not _LABEL_VALUE.fullmatch(label):
            yield f"{key}={label} is not a valid Kubernetes label"


def _tolerations(value: object) -> Iterator[str]:
    for number, one in enumerate(value if isinstance(value, list) else [], 1):
        yield from (f"entry {number}: {fault}" for fault in _toleration(one))


def _toleration(one: object) -> Iterator[str]:
    if not isinstance(one, dict):
        yield 'expected a mapping such as {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}'
        return
    if unknown := sorted(set(one) - _TOLERATION):
        yield f"unknown key {', '.join(unknown)}; expected some of {', '.join(sorted(_TOLERATION))}"
    for key in ("key", "operator", "value", "effect"):
        if not isinstance(one.get(key, ""), str):
            yield f"{key} is {one[key]!r}; expected a string: write {_quoted(one[key])}"
    if one.get("operator", "Equal") not in {"Equal", "Exists"}:
        yield f"operator is {one['operator']!r}; expected Equal or Exists"
    if one.get("effect", "") not in {"", *_EFFECTS}:
        yield f"effect is {one['effect']!r}; expected one of {', '.join(_EFFECTS)}, or none, which means all"
    if one.get("operator", "Equal") == "Exists" and one.get("value"):
        yield "operator Exists takes no value; remove it, or use Equal"
    if not one.get("key") and one.get("operator") != "Exists":
        yield "key is missing; it is only optional with operator Exists"
    if one.get("tolerationSeconds") is not None and one.get("effect") != "NoExecute":
        yield "tolerationSeconds is only allowed with effect NoExecute"


_CHECKS: dict[str, Callable[[object], Iterator[str]]] = {
    "accelerator_count": _count,
    "train_cpu": _cpu,
    "record_cpu": _cpu,
    "train_memory": _memory,
    "record_memory": _memory,
    "base_image": _image,
    "train_image": _image,
    "work_volume": _volume,
    "code_volume": _volume,
    "storage_secret": _volume,
    "database_secret": _secret,
    "git_secret": _secret,
    "notify_secret": _secret,
    "node_selector": _selector,
    "tolerations": _tolerations,
}


def _single_faults(parameters: Mapping[str, Any]) -> Iterator[str]:
    for name, check in _CHECKS.items():
        if parameters.get(name) is not None:
            shown = "" if isinstance(parameters[name], dict | list) else f" {parameters[name]!r}"
            yield from (f"{name}{shown}: {fault}" for fault in check(parameters[name]))


def _joint_faults(parameters: Mapping[str, Any]) -> Iterator[str]:
    kind = parameters.get("accelerator_type")
    if (
        kind is not None
        and str(_whole(parameters.get("accelerator_count"))) != "0"
        and not _RESOURCE.fullmatch(str(kind))
    ):
        yield (
            f"accelerator_type {kind!r}: expected a Kubernetes resource name, such as nvidia.com/gpu or "
            "amd.com/gpu, not a model; use node_selector to choose the model"
        )
    storage = parameters.get("storage_secret")
    claims = {parameters.get("work_volume"), parameters.get("code_volume")} - {None}
    taken = sorted(str(name) for name in claims if name in {storage, *TAKEN_VOLUMES})
    taken += [str(storage)] if storage in TAKEN_VOLUMES else []
    if taken:
        yield (
            f"{', '.join(taken)}: name of two volumes of one pod; use different names for the claims and the storage "
            f"secret, other than {' and '.join(TAKEN_VOLUMES)}"
        )


def _whole(value: object) -> object:
    """1 for a number that the API returned as 1.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _amount(value: object) -> Fraction:
    try:
        return parse_quantity(value)
    except ValueError:
        return Fraction(0)


def _quoted(value: object) -> str:
    return f'"{str(value).lower() if isinstance(value, bool) else value}"'
