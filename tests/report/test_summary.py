import json

import pytest

from sightline.errors import DataError
from sightline.report.pages.chart_views import curve_path
from sightline.report.pages.evaluation_report import write_evaluation_report
from sightline.report.pages.model_view import model_views
from sightline.report.pages.summary import read_summary
from tests.golden import raises


def written(folder, document):
    (folder / "summary.json").write_text(json.dumps(document))
    return folder


def test_what_is_absent_is_empty(tmp_path):
    summary = read_summary(written(tmp_path, {"models": {"best": {"metrics": {"box_AP": 0.5}}}}))
    assert summary.metric_names == ["box_AP"]
    [view] = model_views(summary, "test")
    assert view.sections == {}
    assert summary.best("EIR") is None


def test_selected_models_are_shown_and_all_where_none_is_selected(tmp_path):
    models = {name: {"metrics": {}} for name in ("best", "last", "champion")}
    selections = [
        {"metric": "mask_AP", "name": "last"},
        {"metric": "EIR", "name": "last"},
        {"metric": "x", "name": "y"},
    ]
    summary = read_summary(written(tmp_path, {"models": models, "selections": selections}))
    assert summary.shown() == {"last": ["best by mask_AP, EIR"]}
    assert list(read_summary(written(tmp_path, {"models": models})).shown()) == ["best", "last", "champion"]


def test_the_runs_own_best_candidate_stands_before_the_champion_that_stayed(tmp_path):
    values = {"best": 0.3, "last": 0.4, "champion": 0.5}
    models = {name: {"metrics": {"mask_AP": value}} for name, value in reversed(values.items())}
    selections = [{"metric": "mask_AP", "name": "champion", "promoted": False}]
    summary = read_summary(written(tmp_path, {"models": models, "selections": selections, "split": "val"}))
    assert list(summary.shown().items()) == [
        ("last", ["best candidate by mask_AP"]),
        ("champion", ["stays champion by mask_AP"]),
    ]
    tested = read_summary(written(tmp_path, {"models": models, "selections": selections, "split": "test"}))
    assert list(tested.shown()) == ["last", "best", "champion"]  # on test nothing is chosen: all that were tested


def test_the_worst_drawn_images_come_first_and_documents_of_before_keep_their_order(tmp_path):
    drawn = [
        {"image": "a", "model": "m", "mistakes": {"missed": 1}},
        {"image": "b", "model": "m", "mistakes": {"missed": 1, "false": 2, "confused": 1, "truths": 5}},
        {"image": "c", "model": "other", "mistakes": {"missed": 9}},
        {"image": "d", "model": "m"},
    ]
    summary = read_summary(written(tmp_path, {"drawn": drawn}))
    assert [item.image for item in summary.drawn_by("m")] == ["b", "a", "d"]
    assert summary.drawn[1].remark.text == "1 missed, 1 of a wrong class, 2 false detections (5 objects)"
    assert summary.at_score == "score threshold as configured"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1"),
        ("[]", "JSON"),
        ('{"models": {"best": {"metrics": {"EIR": "high"}}}}', "models.best.metrics.EIR"),
    ],
)
def test_a_damaged_summary_is_an_error_that_names_the_place(tmp_path, text, message):
    (tmp_path / "summary.json").write_text(text)
    with raises(DataError, message):
        read_summary(tmp_path)


def test_a_missing_summary_is_an_error(tmp_path):
    with raises(DataError, "summary.json"):
        read_summary(tmp_path)


def test_no_file_outside_the_folder_is_shown(tmp_path):
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"")
    (folder / "drawn.jpg").write_bytes(b"")
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    summary = read_summary(written(folder, {}))
    assert summary.file("drawn.jpg") == folder / "drawn.jpg"
    for path in ("../secret.jpg", str(tmp_path / "secret.jpg"), "link.jpg", "absent.jpg", ""):
        assert summary.file(path) is None


def test_curves_become_paths_without_needless_points():
    assert curve_path([]) == ""
    assert curve_path([1.0, 1.0, 1.0, 0.0, 0.0]) == "M0,0L50,0L75,100L100,100"
    assert curve_path([0.25]) == "M0,75"


def test_readings_have_the_wrong_ones_first_and_mark_what_differs(tmp_path):
    def plates(*texts, **more):
        return [{"kind": "l_board", "texts": list(texts), **more}]

    examples = [
        {"image": "a.png", "truth": plates("12a", "3456"), "read": plates("12a", "3456"), "right": True},
        {"image": "b.png", "truth": plates("12a", "3456"), "read": plates("12a", "3856"), "right": False},
        {"image": "c.png", "truth": [], "read": plates("", "11", complete=False), "right": False},
        {"image": "d.png", "truth": plates("1", "2"), "read": plates("1", "2") * 2, "right": False},
    ]
    readings = {"true": 2, "read": 1, "false": 1, "examples": examples}
    [view] = model_views(read_summary(written(tmp_path, {"models": {"best": {"readings": readings}}})), "t")
    shown = view.sections["readings"]
    assert [row.image for row in shown.rows] == ["b.png", "c.png", "d.png", "a.png"]
    assert shown.rows[0].predicted == [([("12a 3", True), ("8", False), ("56", True)], "l_board")]
    assert shown.rows[1].predicted == [([(" 11", False)], "l_board, incomplete")]
    assert shown.rows[2].predicted == [([("1 2", True)], "l_board"), ([("1 2", False)], "l_board")]  # once too often
    assert shown.rows[3].predicted == [([("12a 3456", True)], "l_board")]
    assert shown.hidden == 0


def test_many_classes_are_cut_short_to_what_goes_wrong(tmp_path):
    names = [f"class {number}" for number in range(300)]
    matrix = [[0] * 301 for _ in range(301)]
    matrix[7][8], matrix[9][300], matrix[5][5] = 3, 4, 99
    model = {
        "per_class": {name: {"box_AP50": number / 300} for number, name in enumerate(reversed(names))},
        "curves": {"box": {name: [1.0, 0.0] for name in names}},
        "confusion": {"labels": [*names, "background"], "matrix": matrix},
    }
    [view] = model_views(read_summary(written(tmp_path, {"models": {"m": model}, "classes": names})), "t")
    curves, confusion = view.sections["curves"], view.sections["confusion"]
    assert [curve.name for curve in curves.curves] == names[:199:-1]
    assert curves.hidden == 200
    assert confusion.rows == []
    assert confusion.pairs == [("class 9", "background", 4), ("class 7", "class 8", 3)]
    write_evaluation_report(tmp_path / "report.html", tmp_path)
    assert (tmp_path / "report.html").stat().st_size < 500_000


def test_many_readings_are_cut_short(tmp_path):
    examples = [{"image": f"{number}.png", "right": number % 2 == 0} for number in range(100)]
    [view] = model_views(read_summary(written(tmp_path, {"models": {"m": {"readings": {"examples": examples}}}})), "t")
    shown = view.sections["readings"]
    assert [row.right for row in shown.rows].count(True) == 8
    assert shown.hidden == 100 - len(shown.rows) == 62
