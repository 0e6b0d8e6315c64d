"""The parameters of a run: from a recipe and its overrides, or from another run with changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sightline import strict_json
from sightline.config.decode import RENAMED, decode, recipe_names, split_overrides
from sightline.errors import ConfigurationError, KubeflowError
from sightline.kubeflow.client.document import Document
from sightline.kubeflow.runs.graph import Vertex
from sightline.kubeflow.runs.pod_parameters import as_declared, check_pods
from sightline.kubeflow.runs.submit import compiled_version
from sightline.runs.configuration_checks import check_configuration

OWN = ("dataset_tag", "recipe", "overrides", "code_rev")
"""The parameters that define the work; all others are settings of the pods."""

Parameters = dict[str, Any]


def new_parameters(
    declared: Mapping[str, Document],
    recipe: str,
    overrides: Sequence[str],
    code_rev: str,
    pods: Sequence[str],
    *,
    usual: Mapping[str, Any],
) -> Parameters:
    """The parameters of a new run, checked with the code of this machine.

    Args:
        declared: The pipeline's parameters, from its compiled text.
        recipe: The name of a recipe.
        overrides: ``a.b=value``.
        code_rev: The code revision of the run.
        pods: ``name=value`` for other parameters of the pipeline.
        usual: Parameters of the profile; ``pods`` takes precedence.

    Raises:
        ConfigurationError: Lists every error of the configuration.
    """
    tag, rest = _merged([], overrides)
    own = _checked({"dataset_tag": tag, "recipe": recipe, "overrides": "\n".join(rest), "code_rev": code_rev})
    return _for_pods(declared, {**own, **_known(declared, usual), **_typed(declared, pods)})


def changed_parameters(
    declared: Mapping[str, Document],
    before: Mapping[str, Any],
    overrides: Sequence[str],
    code_rev: str,
    pods: Sequence[str],
) -> Parameters:
    """The parameters of another run with changes.

    Args:
        declared: The pipeline's parameters, from its compiled text.
        before: Parameters of the other run.
        overrides: ``a.b=value``; each replaces the one with the same name or the former name.
        code_rev: The code revision; empty: as before.
        pods: ``name=value`` for other parameters of the pipeline.

    Raises:
        ConfigurationError: Lists every error, such as a name that the recipe no longer has.
        KubeflowError: The other run is not one of Sightline's pipeline.
    """
    if not declared.keys() >= {"recipe", "overrides", "dataset_tag"}:
        raise KubeflowError("this is not a run of Sightline's pipeline: it has other parameters")
    renewed = {override.partition("=")[0].strip() for override in overrides}
    kept = [line for line in split_overrides(str(before.get("overrides", ""))) if _now(line) not in renewed]
    tag, rest = _merged(kept, overrides)
    changed = {**before, "overrides": "\n".join(rest)}
    changed["dataset_tag"] = tag or before.get("dataset_tag", "")
    if code_rev:
        changed["code_rev"] = code_rev
    return _for_pods(declared, _checked(changed) | _typed(declared, pods))


def usual_graph(compiled: str, usual: Mapping[str, Any]) -> tuple[Vertex, ...]:
    """The graph of a run with only the parameters of the profile.

    Args:
        compiled: The text of the pipeline.
        usual: Parameters of the profile.

    Raises:
        ConfigurationError: Lists every error in them.
    """
    version = compiled_version(compiled)
    return version.graph(_for_pods(version.parameters, {**_known(version.parameters, usual)}))


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The differences between the parameters of two runs: name, before, now; overrides are compared one by one."""
    rows = []
    for name in sorted({*before, *now} - {"overrides"}):
        one, other = before.get(name), now.get(name)
        if one != other:
            rows.append((name, _shown(one), _shown(other)))
    one, other = _by_path(str(before.get("overrides", ""))), _by_path(str(now.get("overrides", "")))
    rows += [
        (path, one.get(path, ""), other.get(path, ""))
        for path in sorted({*one, *other})
        if one.get(path) != other.get(path)
    ]
    return rows


def _merged(before: Sequence[str], changes: Sequence[str]) -> tuple[str, list[str]]:
    """The dataset tag, if it is set, and the other overrides; the last value of a name counts."""
    merged = {line.partition("=")[0].strip(): line for line in [*before, *changes]}
    line = merged.pop("data.tag", "")
    return line.partition("=")[2].strip(), list(merged.values())


def _now(line: str) -> str:
    """The current name of the field of an override."""
    path = line.partition("=")[0].strip()
    return RENAMED.get(path, path)


def _by_path(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in split_overrides(text))
    return {path.strip(): value for path, _, value in pairs}


def _shown(value: object) -> str:
    return "" if value is None else str(value)


def _checked(parameters: Parameters) -> Parameters:
    recipe = str(parameters.get("recipe", ""))
    if recipe and recipe not in recipe_names():
        raise ConfigurationError(
            f"recipe {recipe!r} is not part of Sightline, and pods cannot read files on this machine; use one of "
            f"{', '.join(recipe_names())}, and change it with --set"
        )
    tag = str(parameters.get("dataset_tag", ""))
    lines = [*split_overrides(str(parameters.get("overrides", ""))), *([f"data.tag={tag}"] if tag else [])]
    config = decode(recipe, lines)
    if not config.data.tag:
        raise ConfigurationError("no dataset tag; give one with --set data.tag=plates_ann_v1")
    check_configuration(config, elsewhere=True)
    return {**parameters, "dataset_tag": tag or config.data.tag}


def _known(declared: Mapping[str, Document], usual: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of the profile; the pipeline must have all of them."""
    others = sorted(set(declared) - set(OWN))
    if unknown := sorted(set(usual) - set(others)):
        raise ConfigurationError(
            f"the profile sets the parameters {', '.join(unknown)}, which the pipeline does not have; expected some of "
            f"{', '.join(others) or 'none'}"
        )
    return usual


def _for_pods(declared: Mapping[str, Document], parameters: Parameters) -> Parameters:
    """The parameters in the declared types, checked together with the defaults of the others."""
    typed = as_declared(declared, parameters)
    defaults = {name: one["defaultValue"] for name, one in declared.items() if "defaultValue" in one}
    check_pods({**defaults, **typed})
    return typed


def _typed(declared: Mapping[str, Document], pairs: Sequence[str]) -> Parameters:
    """``name=value`` in the types that the pipeline declares."""
    typed: Parameters = {}
    others = sorted(set(declared) - set(OWN))
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or name not in others:
            known = ", ".join(others) or "none"
            raise ConfigurationError(f"--param {pair}: expected NAME=VALUE with one of the names {known}")
        kind = str(declared[name].get("parameterType", "STRING"))
        try:
            typed[name] = text if kind == "STRING" else strict_json.decode(text)
        except strict_json.JsonError as error:
            raise ConfigurationError(f"--param {pair}: a value of type {kind} must be JSON ({error})") from error
    return typed
