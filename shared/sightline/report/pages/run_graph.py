"""Layout of the run graph: from left to right for wide screens, from top to bottom for phones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_GAP_ASIDE = 20
_MARGIN = 4


@dataclass(frozen=True, slots=True)
class BoxSize:
    """Width and height of the boxes and the gap between two boxes for an arrow, in SVG units."""

    width: int = 188
    height: int = 66
    gap: int = 32


SMALL = BoxSize(146, 78, 14)
"""Seven tasks fit in a row of the page, with the duration below the state."""


@dataclass(frozen=True, slots=True)
class GraphBox:
    """The box of a task: left, top, width and height in SVG units."""

    name: str
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class GraphLayout:
    """A layout: the size of the graph, boxes in the order of the tasks, and SVG path data of the arrows."""

    width: int
    height: int
    boxes: list[GraphBox]
    arrows: list[str]


def lay_out(
    names: Sequence[str], edges: Sequence[tuple[str, str]], *, down: bool, size: BoxSize | None = None
) -> GraphLayout:
    """Lay tasks out in columns (or rows, if ``down``) by their depth in the graph.

    Redundant arrows are left out (transitive reduction): there is no ``resolve -> test`` if a path leads through
    ``train``.

    Args:
        names: The tasks; edges with other names and edges that close a cycle are left out.
        edges: (before, after).
        down: From top to bottom instead of from left to right.
        size: Size of the boxes; by default that of lineage graphs.
    """
    box_size = size or BoxSize()
    before = _known_edges(names, edges)
    depth: dict[str, int] = {}
    for name in names:
        _depth(name, before, depth)
    layers: dict[int, list[str]] = {}
    for name in names:
        layers.setdefault(depth[name], []).append(name)
    widest = max((len(layer) for layer in layers.values()), default=1)
    boxes = {
        name: _box(name, along, aside + (widest - len(layer)) / 2, box_size, down=down)
        for along, layer in layers.items()
        for aside, name in enumerate(layer)
    }
    arrows = [
        _arrow(boxes[source], boxes[target], down=down)
        for target in names
        for source in sorted(before[target], key=list(names).index)
        if not any(source in _ancestors(other, before) for other in before[target] if other != source)
    ]
    ordered = [boxes[name] for name in names]
    width = max((box.x + box.width for box in ordered), default=0) + _MARGIN
    height = max((box.y + box.height for box in ordered), default=0) + _MARGIN
    return GraphLayout(width, height, ordered, arrows)


def _known_edges(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, set[str]]:
    before: dict[str, set[str]] = {name: set() for name in names}
    for source, target in edges:
        if source in before and target in before and source != target and target not in _ancestors(source, before):
            before[target].add(source)
    return before


def _ancestors(name: str, before: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(before[name])
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting.extend(before[current])
    return found


def _depth(name: str, before: dict[str, set[str]], known: dict[str, int]) -> int:
    if name not in known:
        known[name] = max((_depth(source, before, known) + 1 for source in before[name]), default=0)
    return known[name]


def _box(name: str, along: int, aside: float, size: BoxSize, *, down: bool) -> GraphBox:
    if down:
        x, y = aside * (size.width + _GAP_ASIDE), along * (size.height + size.gap * 0.7)
    else:
        x, y = along * (size.width + size.gap), aside * (size.height + _GAP_ASIDE)
    return GraphBox(name, round(x) + _MARGIN, round(y) + _MARGIN, size.width, size.height)


def _arrow(source: GraphBox, target: GraphBox, *, down: bool) -> str:
    """A curve from the end of the source to just before the target, where the arrow head starts."""
    if down:
        x1, y1 = source.x + source.width // 2, source.y + source.height
        x2, y2 = target.x + target.width // 2, target.y - 5
        bend = (y1 + y2) // 2
        return f"M{x1},{y1}C{x1},{bend} {x2},{bend} {x2},{y2}"
    x1, y1 = source.x + source.width, source.y + source.height // 2
    x2, y2 = target.x - 5, target.y + target.height // 2
    bend = (x1 + x2) // 2
    return f"M{x1},{y1}C{bend},{y1} {bend},{y2} {x2},{y2}"
