import json

from sightline.errors import DataError
from sightline.report.pages.evaluation_report import write_evaluation_report
from tests.golden import raises


def test_the_report_shows_models_winners_and_reasons(summary_folder, tmp_path, open_page):
    write_evaluation_report(tmp_path / "report.html", summary_folder)
    page = open_page(tmp_path / "report.html")
    page.has(
        "plates_train_v2",
        "by mask_AP, on the val split best new champion",
        "by EIR, on the val split last",
        "sha256 " + "b" * 16,
    )
    page.has("best has the highest mask_AP and beats the champion by more than 0.001.")
    page.has("previous champion: 0.592, difference +0.096")
    page.has("best selected by mask_AP", "last selected by EIR", "Boxes at IoU 0.5, score ≥ 0.4")
    page.has("read exactly 54 of 60 plates", "missed or misread 6", "false readings 3")
    page.has("annotations/plates/val_0001.png", "prediction of best", "nothing read")
    page.has("background" if "background" in page.text else "nothing")


def test_the_best_value_of_each_metric_is_marked(summary_folder, tmp_path, open_page):
    write_evaluation_report(tmp_path / "report.html", summary_folder)
    page = open_page(tmp_path / "report.html")
    assert page.source.count('class="n win"') == 8


def test_a_champion_that_stays_is_said_to_stay(summary_folder, tmp_path, open_page):
    path = summary_folder / "summary.json"
    document = json.loads(path.read_text())
    document["selections"] = [
        {"metric": "EIR", "name": "champion", "value": 0.5, "promoted": False, "reason": "Equal."}
    ]
    path.write_text(json.dumps(document))
    write_evaluation_report(tmp_path / "report.html", summary_folder)
    page = open_page(tmp_path / "report.html")
    page.has("by EIR, on the val split best champion stays 0.865 Equal. champion: 0.500, difference +0.365")
    page.has("best best candidate by EIR", "champion stays champion by EIR")
    assert page.text.index("best candidate by EIR") < page.text.index("stays champion by EIR")
    assert "previous champion" not in page.text


def test_a_champion_that_could_not_be_measured_or_was_not_there_is_said(summary_folder, tmp_path, open_page):
    path = summary_folder / "summary.json"
    document = json.loads(path.read_text())
    first, second = document["selections"]
    first["previous_value"] = None
    second |= {"previous_value": None, "previous_sha256": ""}
    path.write_text(json.dumps(document))
    write_evaluation_report(tmp_path / "report.html", summary_folder)
    page = open_page(tmp_path / "report.html")
    page.has("the previous champion could not be measured", "no previous champion")


def test_hostile_names_stay_text(summary_folder, tmp_path, open_page):
    bad = "'\"><script>alert(1)</script>{{ 7*7 }}"
    path = summary_folder / "summary.json"
    document = json.loads(path.read_text())
    best = document["models"].pop("best")
    entry = best["per_class"]["0"]
    best |= {"per_class": {bad: entry}, "curves": {"box": {bad: [1.0] * 101}}, "uri": bad, "training_tag": bad}
    best["confusion"] = {"labels": [bad], "matrix": [[1]]}
    best["readings"]["examples"] = [
        {"image": bad, "truth": [{"kind": bad, "texts": [bad]}], "read": [{"kind": bad, "texts": ["x" + bad]}]}
    ]
    document["models"] = {bad: best}
    document |= {"training_tag": bad, "classes": [bad]}
    document["selections"] = [{"metric": bad, "name": bad, "reason": bad, "uri": bad, "sha256": bad}]
    document["drawn"][0] |= {"image": bad, "model": bad}
    path.write_text(json.dumps(document))
    write_evaluation_report(tmp_path / "report.html", summary_folder)
    page = open_page(tmp_path / "report.html")
    assert page.text.count(bad) >= 14


def test_drawn_images_that_are_gone_are_named(summary_folder, tmp_path, open_page):
    (summary_folder / "drawn" / "truth" / "0.jpg").unlink()
    (summary_folder / "drawn" / "best" / "1.jpg").unlink()
    write_evaluation_report(tmp_path / "report.html", summary_folder)
    page = open_page(tmp_path / "report.html")
    page.has("The drawn truth is missing.", "The drawn prediction is missing.")


def test_an_almost_empty_summary_has_a_page(tmp_path, open_page):
    (tmp_path / "summary.json").write_text('{"models": {"best": {}}}')
    write_evaluation_report(tmp_path / "report.html", tmp_path)
    page = open_page(tmp_path / "report.html")
    page.has("No values per class.", "No precision-recall curves.", "No confusion matrix.")
    page.has("No images were drawn.", "No values by score")
    (tmp_path / "summary.json").write_text("{}")
    write_evaluation_report(tmp_path / "report.html", tmp_path)
    open_page(tmp_path / "report.html").has("No models were measured.")


def test_a_missing_summary_is_an_error(tmp_path):
    with raises(DataError, "summary.json"):
        write_evaluation_report(tmp_path / "report.html", tmp_path)
