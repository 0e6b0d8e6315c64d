"""The pages in a real browser: they fit every screen, need no script to be read, and their script does what it says."""

import importlib.util
import json
import os
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from PIL import Image

from sightline.registry.leak_report import Leak, LeakReport
from sightline.registry.model_profile import ModelProfile
from sightline.report.pages.comparison_page import (
    ComparisonPage,
    Side,
    TellingImage,
    TellingImages,
    ValueRow,
    write_comparison_page,
)
from sightline.report.pages.evaluation_report import write_evaluation_report
from sightline.report.pages.key_numbers import KeyNumber, Measured
from sightline.report.pages.run_index import RunSummary, write_run_index
from sightline.report.pages.run_page import write_run_page
from tests.report import browser
from tests.report.test_gate_view import BETTER, DOUBTFUL
from tests.report.test_sections import SECTIONS, written


@pytest.fixture(scope="module")
def tab():
    reason = ""
    if browser.program() is None:
        reason = f"none of {', '.join(browser.NAMES)} is on PATH"
    elif importlib.util.find_spec("websocket") is None:
        reason = "the browser is driven over a web socket: pip install websocket-client"
    if reason and "chromium" in os.environ.get("SIGHTLINE_REQUIRE", "").split(","):
        pytest.fail(f"SIGHTLINE_REQUIRE names chromium, but {reason}")
    if reason:
        pytest.skip(reason)
    with browser.open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def run_page(finished, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "index.html"
    write_run_page(path, finished.page)
    return path


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    """A gate that failed, intervals, histograms, leaks."""
    folder = tmp_path_factory.mktemp("evaluation")
    selections = [{"metric": one.metric, "name": "best", "gate": asdict(one)} for one in (BETTER, DOUBTFUL)]
    written(folder, {"best": SECTIONS}, selections=selections, split="val")
    document = json.loads((folder / "summary.json").read_text())
    leak = Leak("val", "plates_train_v1", ["annotations/a-name-that-is-longer-than-a-phone-is-wide.png"], 3, True)
    document["models"]["best"] |= {
        "leaks": asdict(LeakReport(["plates_train_v1"], [leak])),
        "profile": asdict(ModelProfile("CPU", 12.3, 14.9, 200, 1, 81.0, 1.7, 169.4, 43_900_000)),
        "intervals": {"heat": [0.4, 0.6]},
    }
    (folder / "summary.json").write_text(json.dumps(document))
    write_evaluation_report(folder / "page.html", folder)
    return folder / "page.html"


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """Two models with long names, and images that only one of them predicts right."""
    picture = Image.new("RGB", (640, 480), (90, 100, 110))
    rows = [
        TellingImage(f"annotations/plates/{n}.png", "two missed", "right", picture, picture, None) for n in range(2)
    ]
    differences = SECTIONS[-1].model_copy(update={"signed": True, "reference": 0.0, "count_name": ""})
    page = ComparisonPage(
        title=f"{'a' * 60} and {'b' * 60}",
        facts={"training set": "plates_train_v1", "split": "test"},
        verdict="B is better by 0.2 mask_AP.",
        sides=[Side(letter, letter * 50, {"sha256": "0" * 64}) for letter in "AB"],
        notes=["Compared on the classes that both know."],
        values=[ValueRow("mask_AP", "0.500", "0.700", "average precision of masks, mean over IoU 0.50 to 0.95", "B")],
        differences=differences,
        classes=differences,
        counts={"only B without a mistake": 2, "only A without a mistake": 0},
        images=[
            TellingImages("better-b", "B is better", 2, 2, rows),
            TellingImages("better-a", "A is better", 0, 0, []),
        ],
        changes=[("train.learning_rate", "0.001", "0.0005")],
    )
    path = tmp_path_factory.mktemp("comparison") / "page.html"
    write_comparison_page(path, page)
    return path


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """A thousand runs; every tenth failed."""
    first = datetime(2026, 1, 1, tzinfo=UTC)
    runs = [
        RunSummary(
            f"run-{number:04d}", first + timedelta(hours=number), "plates_ann_v1", "plates",
            "failed" if number % 10 == 0 else "succeeded", 61.0, "",
            message="train: the loss is not finite" if number % 10 == 0 else "",
            numbers=() if number % 10 == 0 else [
                KeyNumber("mask_AP", Measured("best", (number * 7 % 1000) / 1000, None), None, "mask_AP", "")
            ],
        )
        for number in range(1000)
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("index") / "index.html"
    write_run_index(path, runs)
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["run_page", "evaluation", "comparison", "index"])
def test_a_page_is_as_wide_as_its_screen(tab, request, name, width, dark):
    tab.open(request.getfixturevalue(name), width=width, dark=dark)
    assert tab.run("document.documentElement.scrollWidth") == width
    ground = tab.run("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(14, 18, 23)" if dark else "rgb(245, 246, 248)")


CONTRAST = """(() => {
  const parts = (text) => text.match(/[0-9.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = parts(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] === 1) { return found; }
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const element of document.querySelectorAll("main *, header *, footer *")) {
    const own = Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || element.closest("svg, .heat, dialog") || !element.getClientRects().length) { continue; }
    const ink = parts(getComputedStyle(element).color), under = ground(element);
    const [bright, dim] = [light(ink), light(under)].sort((a, b) => b - a);
    const ratio = (bright + 0.05) / (dim + 0.05);
    if (ratio < 4.5) { low.push(element.tagName + "." + element.className + " " + ratio.toFixed(2)); }
  }
  return low;
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["run_page", "evaluation", "comparison", "index"])
def test_texts_stand_out_from_their_ground(tab, request, name, dark):
    """WCAG 2, level AA: a contrast of 4.5."""
    tab.open(request.getfixturevalue(name), dark=dark)
    assert tab.run(CONTRAST) == []


@pytest.mark.parametrize("width", [390, 1280])
def test_whiskers_lie_in_their_column_and_labels_do_not_touch(tab, evaluation, width):
    tab.open(evaluation, width=width)
    outside = tab.run("""Array.from(document.querySelectorAll('.whisker > *, .whisker > div > *')).filter((part) => {
      const box = part.getBoundingClientRect(), around = part.closest('.whisker').getBoundingClientRect();
      return box.left < around.left - 6 || box.right > around.right + 6 || box.bottom > around.bottom + 1;
    }).length""")
    assert outside == 0
    touching = tab.run("""Array.from(document.querySelectorAll('.axis')).filter((axis) => {
      const boxes = Array.from(axis.querySelectorAll('span[style]'), (one) => one.getBoundingClientRect());
      return boxes.some((box, index) => index && box.left < boxes[index - 1].right + 2);
    }).length""")
    assert touching == 0
    assert tab.run("document.querySelectorAll('.gauge .whisker').length") == 2


def test_without_scripts_everything_is_there_but_what_needs_them(tab, run_page, index):
    tab.open(run_page, scripts=False)
    tree = tab.call("DOMSnapshot.captureSnapshot", computedStyles=["display"])
    strings = tree["strings"]
    shown = {strings[i] for i in tree["documents"][0]["layout"]["text"] if i >= 0}
    assert {"plates-20261121-0753-k3f9", "Commands", "0.915", "score threshold"} <= shown
    assert not {"Copy", "Copied"} & shown  # a button that would do nothing
    tab.open(index, scripts=False)
    tree = tab.call("DOMSnapshot.captureSnapshot", computedStyles=[])
    shown = {tree["strings"][i] for i in tree["documents"][0]["layout"]["text"] if i >= 0}
    assert "run-0999" in shown
    assert "Filter" not in shown


def test_a_chart_tells_its_values_under_the_pointer_and_to_the_arrow_keys(tab, run_page):
    tab.open(run_page)
    place = tab.run(
        "(() => { const svg = document.querySelector('svg.chart');"
        " svg.scrollIntoView({block: 'center', behavior: 'instant'});"
        " const box = svg.getBoundingClientRect(); return [box.left + box.width * 0.5, box.top + box.height / 2]; })()"
    )
    tab.move(*place)
    values = tab.run(
        "Array.from(document.querySelectorAll('svg.chart')[0].querySelectorAll('path.line')).map((line) =>"
        " [line.dataset.name, Object.fromEntries(line.dataset.values.split(' ').map((pair) => pair.split(':')))])"
    )
    told = tab.run("document.querySelector('.tip').innerText").split("\n")
    iteration = told[0].removeprefix("iteration ")
    assert told[1:] == [f"{name} {float(points[iteration]):g}" for name, points in values]
    tab.run("document.querySelector('svg.chart').focus()")
    tab.press("ArrowRight")
    after = tab.run("document.querySelector('.tip').innerText").split("\n")[0]
    assert int(after.removeprefix("iteration ")) == int(iteration) + 20
    tab.press("Escape")
    assert tab.run("document.querySelector('.tip')") is None


def test_a_filter_leaves_the_runs_that_have_every_word(tab, index):
    tab.open(index)
    left = (
        "(() => { const input = document.getElementById('filter'); input.value = {text};"
        " input.dispatchEvent(new Event('input')); return [document.getElementById('filtered').textContent,"
        " document.querySelectorAll('#runs tbody tr:not([hidden])').length]; })()"
    )
    assert tab.run(left.replace("{text}", "'FINITE run-01'")) == ["10 of 1000 runs", 10]
    assert tab.run(left.replace("{text}", "'no such run'")) == ["0 of 1000 runs", 0]
    assert tab.run("document.getElementById('nothing-fits').hidden") is False
    assert tab.run(left.replace("{text}", "''")) == ["1000 runs", 1000]


def test_a_column_sorts_by_its_numbers_with_the_keyboard_and_empty_ones_last(tab, index):
    tab.open(index)
    column = "Array.from(document.querySelectorAll('#runs tbody tr'), (row) => row.cells[3].dataset.key)"
    tab.run("document.getElementById('filter').focus()")
    for _ in range(4):
        tab.press("Tab")
    assert tab.run("document.activeElement.textContent") == "mask_AP"
    assert tab.run("getComputedStyle(document.activeElement).outlineStyle") in {"solid", "auto"}
    tab.press("Enter")
    assert tab.run("document.activeElement.closest('th').getAttribute('aria-sort')") == "descending"
    keys = tab.run(column)
    numbers = [float(key) for key in keys[:900]]
    assert numbers == sorted(numbers, reverse=True)
    assert keys[900:] == [""] * 100
    tab.press("Enter")
    numbers = [float(key) for key in tab.run(column)[:900]]
    assert numbers == sorted(numbers)


def test_a_command_is_copied(tab, run_page):
    tab.open(run_page)
    button = "document.querySelector('[data-copy]')"
    tab.run(f"{button}.click()")
    assert tab.run(f"{button}.textContent") in {"Copied", "Selected"}
    assert tab.run("getSelection().toString()").startswith("sightline model predict ")


def test_nothing_moves_when_pictures_load(tab, run_page):
    tab.open(run_page)
    kept = tab.run(
        "Array.from(document.querySelectorAll('img')).map((one) => "
        "[Number(one.getAttribute('width')), Number(one.getAttribute('height'))])"
    )
    assert kept
    assert all(width > 0 and height > 0 for width, height in kept)


def test_a_curve_at_one_lies_inside_its_plot(tab, run_page):
    tab.open(run_page)
    above = tab.run(
        "Array.from(document.querySelectorAll('.multiples svg')).map((one) => "
        "one.querySelector('path').getBoundingClientRect().top - one.getBoundingClientRect().top)"
    )
    assert above
    assert min(above) >= 2


@pytest.mark.parametrize("width", [390, 1280])
def test_a_command_breaks_between_its_words_and_copies_as_it_is(tab, run_page, finished, width):
    tab.open(run_page, width=width)
    broken = tab.run(
        "Array.from(document.querySelectorAll('.copy span')).filter((one) => one.textContent.startsWith('--') && "
        "one.textContent.length < 30 && one.getBoundingClientRect().height > 30).map((one) => one.textContent)"
    )
    assert broken == []
    assert tab.run("document.querySelectorAll('.copy span').length") > 10
    copied = tab.run(
        "(() => { const all = Array.from(document.querySelectorAll('.copy pre')).map((one) => { "
        "getSelection().selectAllChildren(one); return getSelection().toString(); }); return all; })()"
    )
    assert finished.page.command in copied


def test_the_outcome_of_a_run_has_the_whole_width_of_a_phone(tab, index):
    tab.open(index, width=390)
    row, outcome = tab.run(
        "(() => { const outcome = document.querySelector('#runs .outcome:not(.empty)'); "
        "return [outcome.parentElement, outcome].map((one) => one.getBoundingClientRect().width); })()"
    )
    assert outcome == row > 0


def test_names_of_tasks_keep_off_the_border_of_their_boxes(tab, finished, tmp_path):
    tasks = [replace(task, display_name="Train candidates") for task in finished.page.tasks]
    write_run_page(tmp_path / "index.html", replace(finished.page, tasks=tasks))
    tab.open(tmp_path / "index.html")
    room = tab.run(
        "Array.from(document.querySelectorAll('svg.across a')).map((one) => one.querySelector('.box')"
        ".getBoundingClientRect().right - one.querySelector('.name').getBoundingClientRect().right)"
    )
    assert len(room) == len(tasks)
    assert min(room) >= 9
