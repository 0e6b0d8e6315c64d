"""Determines the code that a step can reach, which its results depend on besides data and configuration.

A step's key contains a digest of the files that are reachable through its imports, so that a change of a report page or
a command never causes a new training, and a change of the engine always does.  Imports are read from the sources,
anywhere in a file; a table of modules as text (such as the tasks) counts as an import of all its modules, where ``*``
in a name matches every folder or file.  Imports for type checking only do not count.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import get_args

from sightline.config.digest import StepName

LIBRARIES = {
    "PIL": "pillow",
    "hotcoco": "hotcoco",
    "numpy": "numpy",
    "pycocotools": "pycocotools",
    "timm": "timm",
    "torch": "torch",
    "torchvision": "torchvision",
}
"""Import name -> distribution, for the libraries whose version affects numeric results."""

WATCHERS = ("sightline.tracking", "sightline.engine.hooks.pictures")
"""Modules that only watch a training: neither they nor what only they import can change its result."""

STEPS: tuple[StepName, ...] = get_args(StepName)

_MODULE = re.compile(r"(sightline(?:\.(?:\w+|\*))+)(?::\w+)?")


@dataclass(frozen=True, slots=True)
class Reach:
    """The code that a step can reach.

    Attributes:
        digest: 16 hexadecimal digits, computed from the files and versions.
        files: POSIX paths below the parent folder of the package, sorted.
        libraries: Distribution -> version, of the libraries that affect numeric results.
    """

    digest: str
    files: tuple[str, ...]
    libraries: dict[str, str]


def step_code(step: str) -> str:
    """The digest of the code that a step can reach."""
    return step_reach(step).digest


@cache
def step_reach(step: str) -> Reach:
    """The part of the running code that a step can reach.

    Args:
        step: One of :data:`STEPS`.
    """
    return reach(Path(__file__).parents[1], f"sightline.steps.{step}")


def reach(package: Path, module: str) -> Reach:
    """The code that a module can reach.

    Args:
        package: The folder of the package.
        module: Such as ``sightline.steps.train``.

    Raises:
        ModuleNotFoundError: There is no such module.
    """
    if _file_of(package, module) is None:
        raise ModuleNotFoundError(f"{package} has no module {module}", name=module)
    found: dict[str, Path] = {}
    used: set[str] = set()
    waiting = [module]
    while waiting:
        parts = waiting.pop().split(".")
        if parts[0] != package.name:
            used.update(LIBRARIES.keys() & {parts[0]})
            continue
        # Importing a.b.c also executes a and a.b.
        for name in (".".join(parts[:end]) for end in range(1, len(parts) + 1)):
            path = _file_of(package, name)
            if name in WATCHERS:
                break
            if path is not None and name not in found:
                found[name] = path
                named = _imported(path.read_bytes(), str(path), tables=name != package.name)
                waiting.extend(module for pattern in named for module in _fitting(package, pattern))
    names = {path.relative_to(package.parent).as_posix(): path for path in found.values()}
    digests = {name: hashlib.sha256(names[name].read_bytes()).hexdigest() for name in sorted(names)}
    libraries = {LIBRARIES[name]: _version(LIBRARIES[name]) for name in sorted(used)}
    text = json.dumps([digests, libraries], sort_keys=True)
    return Reach(hashlib.sha256(text.encode()).hexdigest()[:16], tuple(digests), libraries)


def _file_of(package: Path, module: str) -> Path | None:
    """The file of a module; None if the name is not a module, but a name in a module."""
    path = package.parent.joinpath(*module.split("."))
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def _fitting(package: Path, pattern: str) -> list[str]:
    """The modules that match a name, in which ``*`` may be a part."""
    if "*" not in pattern:
        return [pattern]
    place = pattern.replace(".", "/")
    files = [*package.parent.glob(f"{place}.py"), *package.parent.glob(f"{place}/__init__.py")]
    paths = (file.parent if file.name == "__init__.py" else file.with_suffix("") for file in files)
    return sorted(".".join(path.relative_to(package.parent).parts) for path in paths)


@cache
def _imported(source: bytes, name: str, *, tables: bool) -> tuple[str, ...]:
    """Names that a file imports: modules, and possibly names in modules; most files belong to several steps."""
    return tuple(_named(ast.parse(source, name), tables=tables))


def _named(tree: ast.AST, *, tables: bool) -> Iterator[str]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting.extend(node.orelse)
            continue
        waiting.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif tables and isinstance(node, ast.Constant) and isinstance(node.value, str):
            match = _MODULE.fullmatch(node.value)
            if match:
                yield match[1]


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "absent"
