"""The decision of the gate as a newcomer reads it."""

import json
from dataclasses import asdict

import pytest

from sightline.registry.gate_report import Check, GateReport
from sightline.registry.leak_report import Leak, LeakReport
from sightline.registry.model_profile import ModelProfile
from sightline.report.pages.evaluation_report import write_evaluation_report
from sightline.report.pages.gate_view import gate_view
from sightline.report.pages.run_page import write_run_page
from sightline.report.pages.summary import read_summary
from tests.report.test_sections import written

BETTER = GateReport(
    "mask_AP", "best", passed=True, images=600, groups=412, resamples=1000, difference=0.021, low=0.004, high=0.039,
    probability=0.993, required=0.975, smallest_detectable=0.019,
    checks=[Check("gain", True, "+0.021"), Check("latency", True, "12.3 ms, at most 20 ms")],
)  # fmt: skip
DOUBTFUL = GateReport(
    "EIR", "last", passed=False, images=600, groups=600, resamples=1000, difference=0.004, low=-0.012, high=0.021,
    probability=0.68, required=0.95, smallest_detectable=0.019, images_needed=5200,
    checks=[Check("gain", False, "+0.004"), Check("slices", False, "flag: night: -0.080")],
)  # fmt: skip
ALONE = GateReport(
    "EIR", "best", passed=False, images=60, groups=60, checks=[Check("floor", False, "EIR 0.5 below 0.9")]
)


def page_of(folder, open_page, *reports, **model):
    selections = [{"metric": one.metric, "name": one.candidate, "gate": asdict(one)} for one in reports]
    written(folder, {"best": []}, selections=selections, split="val")
    document = json.loads((folder / "summary.json").read_text())
    document["models"]["best"] |= model
    (folder / "summary.json").write_text(json.dumps(document))
    write_evaluation_report(folder / "page.html", folder)
    return open_page(folder / "page.html")


def test_a_passed_gate_is_a_verdict_a_drawn_difference_and_conditions(tmp_path, open_page):
    page = page_of(tmp_path, open_page, BETTER)
    page.has("best is better than the champion, and meets every condition.", "+0.021 (+0.004 to +0.039)")
    page.has(
        "better in 99.3\u00a0% of 1\u202f000 resamples of the images; required: 97.5\u00a0%", "12.3 ms, at most 20 ms"
    )
    page.has("With these 600 images in 412 groups, a true difference of 0.019 would be detected")
    assert 'aria-label="difference +0.021, 95 % interval +0.004 to +0.039"' in page.source


def test_a_failed_gate_says_what_is_missing_and_what_would_settle_it(tmp_path, open_page):
    page = page_of(tmp_path, open_page, DOUBTFUL)
    page.has("The champion stays. last: not shown to be better than the champion; a slice may be worse.")
    page.has("flag: night: -0.080", "About 5\u202f200 more images", "champion is better", "candidate is better")


def test_without_a_champion_nothing_is_drawn(tmp_path, open_page):
    view = gate_view(ALONE)
    assert view.difference is None
    assert view.hints == []
    page = page_of(tmp_path, open_page, ALONE)
    page.has("best may not become champion: below the required minimum.", "EIR 0.5 below 0.9")
    assert "gauge" not in page.source.split("</style>")[1]


@pytest.mark.parametrize(("report", "tone"), [(BETTER, "good"), (DOUBTFUL, "")])
def test_0_and_the_interval_are_on_one_axis(report, tone):
    view = gate_view(report).difference
    [row] = view.rows
    scale = (row.dot - view.reference) / report.difference
    assert row.left == pytest.approx(view.reference + scale * report.low, abs=0.1)
    assert row.left + row.width == pytest.approx(view.reference + scale * report.high, abs=0.1)
    ends = [view.reference, row.left, row.left + row.width]
    assert 0 < min(ends) < max(ends) < 100
    assert min(ends) + max(ends) == pytest.approx(100, abs=0.1)
    assert row.interval.tone == tone


def test_cost_leaks_and_parity_are_named(tmp_path, open_page):
    profile = ModelProfile("NVIDIA H200", 12.34, 14.9, 200, 16, 420.0, 1.7, 169.4, 43_900_000, None)
    leaks = LeakReport(["plates_train_v1"], [Leak("val", "plates_train_v1", ["a.png"], 3, same_file=True)], ["no v0"])
    page = page_of(
        tmp_path, open_page, profile=asdict(profile), leaks=asdict(leaks), intervals={"heat": [0.4, 0.6]},
        parity="other metrics than before it was saved: heat 0.4 instead of 0.5",
    )  # fmt: skip
    page.has("on NVIDIA H200", "12.3 ms", "14.9 ms", "43.90 M", "169.4 MB", "0.400 to 0.600")
    page.has("best was trained on images that it is measured on 3 val images also in the train split", "no v0")
    page.has("heat 0.4 instead of 0.5")


def test_a_model_without_leaks_says_what_it_was_compared_with(tmp_path, open_page):
    page = page_of(tmp_path, open_page, leaks=asdict(LeakReport(["plates_train_v1"])), parity="the same metrics")
    page.has("best was not trained on any image of val or test compared with plates_train_v1", "the same metrics")


def test_a_model_that_could_not_be_checked_is_not_said_to_be_clean(tmp_path, open_page):
    leaks = LeakReport(["plates_train_v1"], [], ["the training data of its initial weights a.safetensors"])
    page = page_of(tmp_path, open_page, leaks=asdict(leaks))
    page.has("best may have been trained on images of val or test none of them is in plates_train_v1", "a.safetensors")
    assert "was not trained" not in page.text


def test_documents_without_a_gate_look_as_before(summary_folder, tmp_path, open_page, finished):
    assert all(selection.gate is None for selection in read_summary(summary_folder).selections)
    write_evaluation_report(tmp_path / "page.html", summary_folder)
    write_run_page(tmp_path / "run.html", finished.page)
    for name in ("page.html", "run.html"):
        text = open_page(tmp_path / name).text
        assert "Gate by" not in text
        assert "Trust" not in text
        assert "95 % interval" not in text
