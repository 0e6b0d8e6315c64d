"""Pages of a task that nobody here knows: what its measurement brings is shown, and nothing else."""

import json

import pytest

from sightline.errors import DataError
from sightline.report.page import slug
from sightline.report.pages.evaluation_report import write_evaluation_report
from sightline.report.pages.model_view import cards, model_views
from sightline.report.pages.summary import read_summary
from sightline.report.pages.test_report import write_test_report
from sightline.report.sections import (
    AnswersSection,
    ChartsSection,
    ConfusionSection,
    CurvesSection,
    Histogram,
    HistogramsSection,
    ImagesSection,
    Interval,
    IntervalsSection,
    LineChart,
    Mark,
    Number,
    Remark,
    TableSection,
)
from tests.golden import raises

SECTIONS = [
    TableSection(id="rows", title="By season", head="season", counts=["days"], columns=["warmth"], bar="warmth",
                 rows={"winter": {"days": 90, "warmth": 0.125}, "summer": {"days": 91}}),
    ChartsSection(id="lines", title="Over the day", charts=[
        LineChart(key="a", title="Light", x_label="hour", y_label="light", lines={"sun": [0.0, 1.0, None]},
                  mark=Mark(x=0.5, text="noon")),
        LineChart(key="b", title="Nothing", x_label="hour", y_label="light", lines={"moon": [None, None]}),
    ]),
    CurvesSection(id="small", title="Tides", head="coast", mean_title="Mean tide", hint="Height over time",
                  x_label="time", y_label="height", lines={"sea": {"north": [0.0, 1.0], "south": [1.0, 0.5]}},
                  values={"sea": {"north": 0.75}}, value_name="range"),
    ConfusionSection(id="matrix", title="Mixed up", labels=["rain", "snow"], matrix=[[3, 1], [0, 2]]),
    AnswersSection(id="said", title="Forecasts", noun="forecast", verb="said",
                   numbers=[Number(name="came true", value=4321, note="of 5000")],
                   examples=[{"image": "a.png", "truth": [{"text": "wet"}], "predicted": [{"text": "wit"}]}]),
    HistogramsSection(id="counts", title="Drops", histograms=[
        Histogram(key="a", title="In May", x_label="size", y_label="drops", bars={"wet": [2, 0], "dry": [1, 5]},
                  note="Few."),
    ]),
    IntervalsSection(id="ranges", title="Warmth", head="place", count_name="days", value_name="degrees", reference=0.5,
                     reference_name="everywhere", verdict="The north is cold.", notes=["Measured at noon."], rows=[
        Interval(name="north", value=0.25, low=0.125, high=0.375, count=40, tone="bad", note="cold"),
        Interval(name="south", value=0.75, count=2), Interval(name="west"),
    ]),
]  # fmt: skip


def test_whole_texts_are_marked_where_single_characters_say_nothing(tmp_path, open_page):
    said = AnswersSection(id="said", title="Classes", noun="class", by_character=False, examples=[
        {"image": "a.png", "truth": [{"text": "incorrect"}, {"text": "old"}],
         "predicted": [{"text": "correct"}, {"text": "old"}, {"text": "hat"}]},
    ])  # fmt: skip
    write_evaluation_report(tmp_path / "page.html", written(tmp_path, {"best": [said]}))
    source = open_page(tmp_path / "page.html").source
    assert "<mark>correct</mark>" in source
    assert "<mark>hat</mark>" in source
    assert source.count("<mark>") == 2


def test_the_lowest_error_is_the_best(tmp_path):
    metrics = {
        "one": {"accuracy": 0.5, "calibration_error": 0.1, "auroc": 0.9},
        "two": {"accuracy": 0.6, "calibration_error": 0.2, "auroc": 0.9},
    }
    models = {name: {"metrics": values, "note": "", "sections": []} for name, values in metrics.items()}
    (tmp_path / "summary.json").write_text(json.dumps({"format": 2, "models": models}))
    summary = read_summary(tmp_path)
    assert (summary.best("accuracy"), summary.best("calibration_error"), summary.best("auroc")) == (0.6, 0.1, None)


def test_the_metrics_that_select_models_come_first(tmp_path):
    metrics = dict.fromkeys(
        ["warmth", "calibration_error", "auroc", "f1_macro", "accuracy/mask", "joint_accuracy"], 0.5
    )
    models = {"best": {"metrics": {**metrics, "accuracy": 0.5, "box_AP_small": 0.1}}}
    (tmp_path / "summary.json").write_text(json.dumps({"format": 2, "models": models}))
    names = read_summary(tmp_path).metric_names
    assert names == ["accuracy", "joint_accuracy", "f1_macro", "auroc", "warmth", "calibration_error"]


def test_a_class_shows_only_the_lines_that_it_has(tmp_path, open_page):
    tides = SECTIONS[2].model_copy(update={
        "lines": {"sea": {"sea/north": [0.0, 1.0]}, "lake": {"lake/north": [1.0, 0.5], "lake/east": [1.0, 0.0]}},
        "values": {"sea": {"sea/north": 0.75}, "lake": {"lake/north": 0.5, "lake/east": 0.25}},
    })  # fmt: skip
    write_evaluation_report(tmp_path / "page.html", written(tmp_path, {"best": [tides]}))
    page = open_page(tmp_path / "page.html")
    page.has("Height over time; the number is range.", "sea/north 0.75", "lake/north 0.50", "lake/east 0.25")
    small = [line for line in page.source.splitlines() if 'data-name="lake height"' in line]
    assert len(small) == 2
    assert all("var(--series-1)" in line and "dashed" not in line for line in small)
    assert "(dashed)" not in page.text


def test_lines_of_the_same_classes_are_told_apart(tmp_path, open_page):
    tides = SECTIONS[2].model_copy(update={"lines": {"high": {"north": [0.0, 1.0]}, "low": {"north": [0.0, 0.5]}},
                                           "values": {"high": {"north": 0.75}, "low": {}}})  # fmt: skip
    write_evaluation_report(tmp_path / "page.html", written(tmp_path, {"best": [tides]}))
    page = open_page(tmp_path / "page.html")
    page.has("the number is range, high / low.", "low (dashed)", "north 0.75 / \N{EN DASH}")


def test_predictions_without_a_score_threshold_name_none(tmp_path, open_page):
    drawn = [{"image": "a.png", "model": "best", "truth": "t.jpg", "prediction": "p.jpg"}]
    images = [ImagesSection(id="predictions", title="Predictions")]
    for threshold in (0.4, 0):
        folder = written(tmp_path, {"best": images}, drawn=drawn, score_threshold=threshold)
        write_evaluation_report(tmp_path / "page.html", folder)
        caption = "prediction of best, score \N{GREATER-THAN OR EQUAL TO} 0.4"
        assert (caption in open_page(tmp_path / "page.html").text) == (threshold > 0)
        open_page(tmp_path / "page.html").has("prediction of best")


def written(folder, models, **more):
    document = {
        "format": 2,
        "models": {
            name: {"metrics": {"heat": 0.5}, "note": "At noon.", "sections": [one.model_dump() for one in sections]}
            for name, sections in models.items()
        },
        **more,
    }
    (folder / "summary.json").write_text(json.dumps(document))
    return folder


def test_every_kind_of_section_is_shown(tmp_path, open_page):
    write_evaluation_report(tmp_path / "page.html", written(tmp_path, {"best": SECTIONS}))
    page = open_page(tmp_path / "page.html")
    page.has("At noon.", "model heat trained on best 0.500")
    page.has("By season", "season days warmth warmth, 0 to 1", "winter 90 0.125", "summer 91 \N{EN DASH}")
    page.has("Over the day", "Light", "noon", "Per coast", "Height over time; the number is range.", "north 0.75")
    page.has("Mean tide", "Mixed up", "Forecasts", "came true 4\u202f321 of 5000", "wet")
    page.has("Drops", "In May", "size wet dry", "0 to 0.5 2 1", "0.5 to 1 0 5", "Few.", "rain snow 1 25 %")
    page.has("The north is cold.", "everywhere: 0.500", "north cold 40 0.250", "0.125 to 0.375", "Measured at noon.")
    page.has("south 2 0.750", "west \N{EN DASH} \N{EN DASH}")
    assert "<mark>i</mark>" in page.source
    assert 'title="rain → snow: 1"' in page.source
    assert "Nothing" not in page.text
    for word in ("IoU", "late", "EIR", "mask", "No values."):
        assert word not in page.text.replace("template", "")


def test_what_is_wrong_comes_before_curves_and_thresholds(tmp_path):
    sections = [TableSection(id=name, title=name) for name in ("classes", "thresholds", "scores", "confusion")]
    summary = read_summary(written(tmp_path, {"best": sections}))
    assert [card.id for card in cards(summary)] == ["classes", "confusion", "thresholds", "scores"]


def test_models_share_the_card_of_a_section_and_one_that_lacks_it_says_so(tmp_path, open_page):
    lacking = TableSection(id="rows", title="By season", missing="No season was seen.")
    folder = written(tmp_path, {"best": SECTIONS[:1], "last": SECTIONS[3:4], "champion": [lacking]})
    summary = read_summary(folder)
    assert [card.id for card in cards(summary)] == ["rows", "matrix"]
    assert [list(view.sections) for view in model_views(summary, "t")] == [["rows"], ["matrix"], []]
    write_test_report(tmp_path / "page.html", folder)
    page = open_page(tmp_path / "page.html")
    assert page.text.count("By season") == 1
    assert page.text.count("No values.") == 4


def test_sections_of_two_kinds_under_one_name_do_not_mix(tmp_path, open_page):
    other = TableSection(id="matrix", title="Mixed up", head="kind", rows={"rain": {}})
    models = {"best": [SECTIONS[3]], "last": [other]}
    write_evaluation_report(tmp_path / "page.html", written(tmp_path, models))
    open_page(tmp_path / "page.html").has("Mixed up")


@pytest.mark.parametrize("matrix", [[[1, 2]], [[1], [2]], [[1, 2, 3], [1, 2, 3]]])
def test_a_matrix_that_does_not_fit_its_labels_is_an_error(tmp_path, matrix):
    folder = written(tmp_path, {"best": [SECTIONS[3].model_copy(update={"matrix": matrix})]})
    with pytest.raises(DataError) as error:
        read_summary(folder)
    assert "models.best.sections.0" in str(error.value)


def test_drawn_images_are_shown_where_the_measurement_says_and_where_it_says_nothing(tmp_path):
    drawn = [{"image": "a.png", "remark": Remark(mistakes=2, text="two wrong").model_dump()}, {"image": "b.png"}]
    here = ImagesSection(id="shots", title="Shots")
    for sections, expected in ((SECTIONS[:1], ["rows", "predictions"]), ([here, *SECTIONS[:1]], ["shots", "rows"])):
        summary = read_summary(written(tmp_path, {"best": sections}, drawn=drawn))
        assert [card.id for card in cards(summary)] == expected
        [view] = model_views(summary, "t")
        assert [item.image for item in view.sections[expected[1] if sections[0] is not here else "shots"]] == [
            "a.png",
            "b.png",
        ]
    assert cards(read_summary(written(tmp_path, {"best": []}))) == []


def test_the_name_of_a_section_stays_text(tmp_path, open_page):
    bad = "'\"><script>alert(1)</script>"
    sections = [one.model_copy(update={"id": bad + one.id, "title": bad, "lead": bad}) for one in SECTIONS]
    write_test_report(tmp_path / "page.html", written(tmp_path, {bad: sections}))
    page = open_page(tmp_path / "page.html")
    assert page.text.count(bad) >= 2 * len(sections)
    assert {slug(one.id) for one in sections} <= set(page.ids)


@pytest.mark.parametrize(
    ("section", "place"),
    [
        ({"kind": "hologram", "id": "h", "title": "H"}, "models.best.sections.0"),
        ({"kind": "table", "title": "no id"}, "models.best.sections.0.table.id"),
        ({"kind": "confusion", "id": "c", "title": "C", "matrix": [["many"]]}, "sections.0.confusion.matrix.0.0"),
    ],
)
def test_a_damaged_section_is_an_error_that_names_the_place(tmp_path, section, place):
    (tmp_path / "summary.json").write_text(json.dumps({"format": 2, "models": {"best": {"sections": [section]}}}))
    with raises(DataError, place):
        read_summary(tmp_path)
