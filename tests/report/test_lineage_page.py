"""The drawn lineage: what is in the graph, where its boxes lie, and that the page needs nobody."""

from __future__ import annotations

import re
from contextlib import closing

import pytest

from sightline.database import open_database
from sightline.report.lineage.graph import MOST_BOXES, lineage_graph, stack
from sightline.report.lineage.page import write_lineage_page
from sightline.report.pages.run_graph import lay_out
from tests import lineage_story as story
from tests.lineage_story import BEST1, BEST2, LAST1, R1, R2, R3


@pytest.fixture
def database(tmp_path):
    with closing(open_database(f"sqlite:///{tmp_path}/x.sqlite")) as database:
        story.tell(database)
        yield database


def graph_of(database, name):
    return lineage_graph(database.lineage(database.named(name)))


def test_the_graph_of_a_model(database):
    graph = graph_of(database, BEST1)
    assert [(node.kind, node.name) for node in graph.nodes] == [
        ("annotation tag", "plates_ann_v1"),
        ("training tag", "plates_train_v1"),
        ("run", R2),
        ("run", R1),
        ("model", BEST1[:12]),
        ("champion", "by EIR"),
        ("former champion", "by mask_AP"),
    ]
    assert [node.key for node in graph.nodes if node.asked] == [BEST1]
    edges = set(graph.edges)
    assert {("plates_ann_v1", "plates_train_v1"), ("plates_train_v1", R1), (R1, BEST1), (R2, BEST1)} <= edges
    layout = lay_out([node.key for node in graph.nodes], graph.edges, down=False)
    columns = {box.name: box.x for box in layout.boxes}
    order = ["plates_ann_v1", "plates_train_v1", R1, BEST1, f"champion now {BEST1}"]
    assert [columns[key] for key in order] == sorted({*columns.values()})
    assert columns[R1] == columns[R2]


def test_the_graph_of_a_run_with_a_champion_from_before(database):
    notes = {node.name: node.note for node in graph_of(database, R3).nodes}
    assert notes["plates_train_v1"] == notes[R1] == "before this run"
    assert notes[BEST2[:12]] == "mask_AP 0.620 on val"
    assert notes[BEST1[:12]] == "mask_AP 0.500 on val"


def test_the_graph_of_a_tag_holds_its_own_models(database):
    keys = [node.key for node in graph_of(database, "plates_ann_v1").nodes]
    assert {R1, R2, BEST1, LAST1} <= set(keys)
    assert R3 not in keys
    assert BEST2 not in keys


def test_of_many_the_most_relevant_are_drawn(database):
    for number in range(10):
        story.start(database, f"many-{number}", "plates_ann_v1", [])
        story.offer(database, f"many-{number}", "v1", {"best": (story.sha(f"many{number}"), 0.1, 0.2)})
    graph = graph_of(database, "plates_train_v1")
    kinds = [node.kind for node in graph.nodes]
    assert (kinds.count("run"), kinds.count("model")) == (MOST_BOXES, MOST_BOXES)
    assert {(node.kind, node.name) for node in graph.nodes if node.name.startswith("and ")} == {
        ("runs", "and 6 more"),
        ("models", "and 6 more"),
    }
    assert BEST1 in {node.key for node in graph.nodes}
    assert {key for edge in graph.edges for key in edge} >= {"more runs", "more models"}


def test_a_stack_is_narrow_and_its_lanes_do_not_cross_boxes():
    names = ["a", "b", "c", "d", "e"]
    layout = stack(names, [("a", "b"), ("a", "c"), ("b", "d"), ("c", "e"), ("a", "e"), ("x", "a")])
    assert [box.name for box in layout.boxes] == names
    assert all(one.y + one.height < other.y for one, other in zip(layout.boxes, layout.boxes[1:], strict=False))
    assert layout.width < 360
    assert len(layout.arrows) == 5
    left = layout.boxes[0].x
    lanes = [min(int(x) for x in re.findall(r"[QH](\d+)", arrow)) for arrow in layout.arrows if "Q" in arrow]
    assert all(0 < lane < left for lane in lanes)
    assert len(set(lanes)) == 3  # those of a, b and c overlap; both of a share one


def test_an_empty_stack():
    assert stack([], []).boxes == []


def test_the_page_is_complete_in_itself(database, tmp_path):
    path = tmp_path / "deep" / "lineage.html"
    write_lineage_page(path, database.lineage(database.named("plates_ann_v2")))
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", text)
    assert text.count('<svg class="graph') == 2
    ids = set(re.findall(r'id="([^"]+)"', text))
    links = set(re.findall(r'href="#([^"]+)"', text))
    assert links <= ids
    assert "0.0005 (recipe: 0.001)" in text
    assert "champion by" in text


def test_names_are_escaped(database, tmp_path):
    story.start(database, "<script>alert(1)</script>", "plates_ann_v1", [])
    database.finish_run("<script>alert(1)</script>", "failed", "<b>bold</b>")
    path = tmp_path / "lineage.html"
    write_lineage_page(path, database.lineage(database.named("plates_ann_v1")))
    text = path.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "<b>bold" not in text
