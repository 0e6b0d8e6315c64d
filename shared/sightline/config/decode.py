"""Combines recipe, settings file and overrides to one configuration, with all errors in one message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError

from sightline import strict_json, strict_yaml
from sightline.config.defaults import chosen_network, default_document, network_of
from sightline.config.network import Network
from sightline.config.precedence import make_way
from sightline.config.schema import Config
from sightline.config.section import UNKNOWN_NAME
from sightline.config.settings import Document, embedded_defaults, merge, read_settings, read_yaml
from sightline.config.task_declarations import DEFAULT_TASK
from sightline.errors import ConfigurationError
from sightline.names import unknown_name
from sightline.plural import counted
from sightline.url_secrets import redact

SHOWN_CHARACTERS = 200

SMALL_RECIPE = f"{DEFAULT_TASK}_small"
"""The recipe for custom classes on a machine without a GPU."""

RENAMED: dict[str, str] = {}
"""Dotted path of a field or section in an earlier version -> its current path.

After renaming a field in the schema, add it here, so that older runs can be repeated with the new name.
"""


def recipe_names() -> list[str]:
    """The recipes that come with Sightline."""
    recipes = resources.files("sightline.config") / "recipes"
    return sorted(entry.name.removesuffix(".yaml") for entry in recipes.iterdir() if entry.name.endswith(".yaml"))


def small_recipe(task: str) -> str:
    """The recipe of a task for custom classes on a machine without a GPU; empty if there is none."""
    name = f"{task}_small"
    return name if name in recipe_names() else ""


def is_for_gpu(task: str, model: Network) -> bool:
    """Whether a network is larger than that of :func:`small_recipe`, which can be trained without a GPU."""
    recipe = small_recipe(task)
    if not recipe:
        return False
    small = recipe_document(recipe)["model"]
    mine = model.model_dump()
    sizes = [name for name in small if name == "image_size" or name.endswith("_channels")]
    return mine.get("backbone") != small.get("backbone") or any(mine[name] > small[name] for name in sizes)


def recipe_summary(name: str) -> str:
    """The purpose of a recipe: the first sentence of its file."""
    text = (resources.files("sightline.config") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
    return text.removeprefix("# ").partition("\n")[0].partition(". ")[0].removesuffix(".")


def decode_places(overrides: Sequence[str] = ()) -> Config:
    """The configuration of a command that needs only addresses: without a recipe and classes.

    Args:
        overrides: ``a.b=value``; the value is parsed as YAML.

    Raises:
        ConfigurationError: With all errors.
    """
    document = embedded_defaults()
    merge(document, {"data": {"classes": ["any"]}})
    merge(document, read_settings())
    return assemble(document, overrides, "none")


def decode(recipe: str, overrides: Sequence[str] = ()) -> Config:
    """Create the configuration: built-in defaults < recipe < settings file < overrides.

    If overrides choose another network or length, what the recipe says about the former one is removed; see
    :func:`~sightline.config.precedence.make_way`.

    Args:
        recipe: The name of a built-in recipe, or the path of a YAML file.
        overrides: ``a.b=value``; the value is parsed as YAML.

    Raises:
        ConfigurationError: With all errors: dotted path, value, expected value, most similar known name.
    """
    document = embedded_defaults()
    merge(document, _read_recipe(recipe))
    merge(document, read_settings())
    return assemble(document, overrides, recipe)


def assemble(document: Document, overrides: Sequence[str], recipe: str) -> Config:
    """Create the configuration from the contents of the files; see :func:`decode`.

    Args:
        document: The sections; modified in place.
        overrides: ``a.b=value``; the value is parsed as YAML.
        recipe: Its name or path.

    Raises:
        ConfigurationError: With all errors.
    """
    faults: list[str] = []
    chosen: Document = {}
    for override in overrides:
        _apply(chosen, override, [])
    make_way(document, chosen)
    for override in overrides:
        _apply(document, override, faults)
    document["recipe"] = Path(recipe).stem
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        faults.extend(_explain(error, document))
    refuse_faults(recipe, faults)
    return config


def refuse_faults(recipe: str, faults: Sequence[str]) -> None:
    """Raise an error if there are faults.

    Raises:
        ConfigurationError: With all faults.
    """
    if faults:
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise ConfigurationError(f"the configuration (recipe {recipe}) has {counted(len(faults), 'error')}:\n{lines}")


def recipe_document(recipe: str) -> Document:
    """The contents of a recipe, without the settings file and overrides; the other fields have their defaults.

    Fields without a default that the recipe does not set, such as ``data.classes``, are missing.

    Raises:
        ConfigurationError: There is no such recipe.
    """
    read = _read_recipe(recipe)
    document = default_document(read.get("task", DEFAULT_TASK), chosen_network(read))
    merge(document, read)
    return document


def from_json(text: str) -> Config:
    """Parse the configuration that ``resolve`` wrote as JSON.

    Raises:
        ConfigurationError: The text was written by another version of Sightline, or edited.
    """
    try:
        document = strict_json.decode(text)
        return Config.model_validate_json(text)
    except ValidationError as error:
        faults = _explain(error, document if isinstance(document, dict) else {})
    except strict_json.JsonError as error:
        faults = [str(error)]
    raise ConfigurationError(
        "the resolved configuration is not valid for this version of Sightline; run resolve again:\n"
        + "\n".join(f"  {fault}" for fault in faults)
    )


def split_overrides(text: str) -> list[str]:
    """Split the overrides of a run, one per line; empty lines and ``#`` comments are left out."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _read_recipe(recipe: str) -> Document:
    if recipe in recipe_names():
        source = resources.files("sightline.config") / "recipes" / f"{recipe}.yaml"
        return read_yaml(source, recipe)
    if Path(recipe).suffix in {".yaml", ".yml"} and Path(recipe).is_file():
        return read_yaml(Path(recipe))
    if not recipe:
        known = "\n".join(f"  {name}: {recipe_summary(name)}" for name in recipe_names())
        raise ConfigurationError(
            f"no recipe was given; choose one with --recipe, or give the path of a YAML file:\n{known}\n"
            "and list your classes with --set 'data.classes=[cat, dog]' "
            "(sightline check FOLDER prints them)"
        )
    path = Path(recipe)
    if path.suffix in {".yaml", ".yml"} or len(path.parts) > 1:
        if path.is_file():
            raise ConfigurationError(
                f"the recipe {recipe} is not a YAML file; expected a name that ends in .yaml or .yml"
            )
        fault = "is a folder" if path.is_dir() else f"is missing (looked for {path.absolute()})"
        raise ConfigurationError(
            f"the recipe file {recipe} {fault}; give the path of a YAML file, or one of the recipes "
            f"{', '.join(recipe_names())}"
        )
    raise ConfigurationError(f"{unknown_name('recipe', recipe, recipe_names())}; or give the path of a YAML file")


def _apply(document: Document, override: str, faults: list[str]) -> None:
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        faults.append(f"{_shown(override)} is not an override; expected KEY=VALUE, such as data.tag=plates_ann_v1")
        return
    try:
        value = strict_yaml.decode(text)
    except strict_yaml.YamlError as error:
        faults.append(f"{path}: {_shown(text)} is not valid YAML ({error})")
        return
    section = document
    for key in keys[:-1]:
        child = section.setdefault(key, {})
        if isinstance(child, list):
            faults.append(
                f"{path}: {key} is a list, which is set as a whole: --set '{path.partition(f'.{key}.')[0]}.{key}=[...]'"
            )
            return
        if not isinstance(child, dict):
            faults.append(f"{path}: {key} is a single value, not a section")
            return
        section = child
    if isinstance(value, dict) and isinstance(section.get(keys[-1]), dict):
        merge(section[keys[-1]], value)
    else:
        section[keys[-1]] = "" if value is None else value


def _explain(error: ValidationError, document: Document) -> list[str]:
    """One line per fault of a document: dotted path, value, expected value."""
    lines = []
    for fault in error.errors(include_url=False):
        path = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "default_factory_not_called":
            continue  # this default depends on a field that has a fault of its own
        if path in RENAMED:
            lines.append(f"{path}: was renamed to {RENAMED[path]}; set that to {_shown(fault['input'])} instead")
        elif fault["type"] == "extra_forbidden":
            section = _section(fault["loc"][:-1], document)
            known = sorted(section.model_fields)
            name = str(fault["loc"][-1])
            lines.append(f"{path}: {unknown_name('key', name, known)}")
        elif fault["type"] == UNKNOWN_NAME:
            lines.append(redact(f"{path}: {fault['msg']}"))
        elif fault["type"] == "missing":
            section = _section(fault["loc"][:-1], document)
            meaning = section.model_fields[str(fault["loc"][-1])].description or "needed"
            lines.append(f"{path}: required; set it with --set {path}=... ({meaning})")
        else:
            expected = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
            lines.append(f"{path}: {_shown(fault['input'])} is not valid; expected {expected}")
    return lines


def _shown(value: object) -> str:
    """A value in a message: without passwords, and truncated."""
    text = redact(repr(value))
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def _section(location: Iterable[int | str], document: Document) -> type[BaseModel]:
    section: type[BaseModel] = Config
    for part in location:
        annotation = section.model_fields[str(part)].annotation if isinstance(part, str) else None
        candidates = [annotation, *get_args(annotation)]
        section = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), section)
        if section is Network:
            section = network_of(document.get("task", DEFAULT_TASK), chosen_network(document))
    return section
