import re
import subprocess
import sys

import pytest

from sightline.report.charts import Series, bar_chart, line_chart, ticks
from sightline.report.pages.history_charts import history_charts

LINES = [Series("loss", [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]), Series("<b>mask", [1.0, 3.0], [1.0, 0.5])]


def test_a_chart_takes_its_colours_from_the_page():
    chart = line_chart("a", "Loss", LINES, x_label="iteration", y_label="nats")
    assert "var(--series-0)" in chart.svg
    assert "var(--series-1)" in chart.svg
    assert not re.search(r"(stroke|fill): #(?!none)", chart.svg)
    assert ">iteration<" in chart.svg
    assert ">nats<" in chart.svg
    assert chart.legend == [("loss", 0, False), ("<b>mask", 1, False)]


def test_every_value_is_in_the_chart_for_the_pages_script():
    chart = line_chart("a", "Loss", LINES, x_label="iteration", y_label="nats")
    assert 'data-values="1:3 2:2 3:1"' in chart.svg
    assert 'data-chart="66 408 1 3"' in chart.svg
    assert chart.rows == [["1", "3", "1"], ["2", "2", ""], ["3", "1", "0.5"]]


def test_a_line_is_where_its_axis_says():
    line = Series("l", [0.0, 50.0, 100.0], [0.0, 0.5, 1.0])
    chart = line_chart("a", "T", [line], x_label="x", y_label="y", y_limits=(0, 1), x_limits=(0, 100))
    assert 'd="M66,190L237,101L408,12"' in chart.svg
    assert '<text class="tick up" x="60" y="193.5">0</text>' in chart.svg
    assert '<text class="tick" x="408.0" y="205">100</text>' in chart.svg


def test_a_long_history_is_thinned_and_keeps_its_end():
    line = Series("l", [float(index) for index in range(100_000)], [1.0] * 99_999 + [0.25])
    chart = line_chart("a", "T", [line], x_label="x", y_label="y")
    values = re.search(r'data-values="([^"]*)"', chart.svg)[1].split()
    assert len(values) == 400
    assert values[-1] == "99999:0.25"
    assert chart.rows[-1] == ["99999", "0.25"]
    assert len(chart.rows) <= 12


def test_a_line_of_one_point_and_a_flat_line_are_drawn():
    assert "nan" not in line_chart("a", "T", [Series("l", [5.0], [0.0])], x_label="x", y_label="y").svg
    assert "nan" not in line_chart("a", "T", [Series("l", [1.0, 2.0], [7.0, 7.0])], x_label="x", y_label="y").svg


def test_a_value_of_zero_has_no_negative_axis():
    svg = line_chart("a", "T", [Series("l", [5.0], [0.0])], x_label="x", y_label="y").svg
    assert min(float(text) for text in re.findall(r'class="tick[^>]*>([^<]*)<', svg)) == 0


def test_a_marked_place_says_what_it_is():
    chart = line_chart("a", "T", LINES, x_label="x", y_label="y", mark=(2.5, "best <F1>"))
    assert '<path class="mark" d="M322.5,12V190"/>' in chart.svg
    assert "best &lt;F1&gt;" in chart.svg


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (20, 400, [100.0, 200.0, 300.0, 400.0]),
        (0, 0.0008, [0.0, 0.0002, 0.0004, 0.0006, 0.0008]),
        (-3, 3, [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == expected


def test_text_is_text_and_is_escaped():
    chart = line_chart("a", 'Loss "<', LINES, x_label="i<script>", y_label="y")
    assert "i&lt;script&gt;" in chart.svg
    assert 'aria-label="Loss &#34;&lt;: y over i&lt;script&gt;"' in chart.svg
    assert "<b>mask" not in chart.svg


def test_equal_input_gives_an_equal_chart_and_keys_keep_ids_apart():
    first, again = (line_chart("a", "Loss", LINES, x_label="x", y_label="y").svg for _ in range(2))
    other = line_chart("b", "Loss", LINES, x_label="x", y_label="y").svg
    assert first == again
    ids = [set(re.findall(r' id="([^"]*)"', svg)) for svg in (first, other)]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_series_beyond_the_palette_are_dashed():
    lines = [Series(f"loss_{index}", [0.0, 1.0], [0.0, index]) for index in range(9)]
    chart = line_chart("a", "Losses", lines, x_label="x", y_label="y")
    assert chart.legend[8] == ("loss_8", 0, True)
    assert "stroke-dasharray" in chart.svg


def test_a_history_gives_a_chart_for_each_kind_of_value():
    history = [
        {"iteration": 20, "loss_mask": 0.5, "loss_box": 0.5, "loss": 1.0, "learning_rate": 0.1, "images_per_second": 4},
        {"iteration": 40, "loss_mask": 0.4, "loss_box": 0.4, "loss": 0.8, "learning_rate": 0.1, "images_per_second": 5},
        {"iteration": 40, "val/mask_AP": 0.31},
    ]
    charts = {chart.title: [name for name, _, _ in chart.legend] for chart in history_charts(history)}
    assert charts == {
        "Loss": ["loss", "loss mask", "loss box"],
        "Validation": ["mask_AP"],
        "Learning rate": ["learning_rate"],
        "Images per second": ["images_per_second"],
    }


def test_a_loss_of_one_part_is_drawn_once():
    history = [{"iteration": step, "loss": 1.0 / step, "loss_keypoint": 1.0 / step} for step in (20, 40)]
    (chart,) = history_charts(history)
    assert [name for name, _, _ in chart.legend] == ["loss"]


def test_a_history_without_values_gives_no_chart():
    assert history_charts([]) == []
    assert history_charts([{"iteration": 1}, {"loss": 2.0}]) == []


def test_the_room_is_imported_without_matplotlib_and_jinja():
    """Commands that write no page start fast."""
    rooms = "drawing.draw pages.data_report pages.evaluation_report pages.test_report pages.run_page pages.run_index"
    code = f"import sys, {', '.join(f'sightline.report.{name}' for name in rooms.split())}\n"
    code += "print({'matplotlib', 'jinja2', 'pycocotools', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_bars_are_as_high_as_their_values():
    chart = bar_chart("b", "Sizes", [("a", 2), ("", 4), ("<c>", 0)], x_label="size", y_label="images")
    heights = [float(height) for height in re.findall(r'<rect class="bar"[^>]* height="([^"]+)"', str(chart.svg))]
    assert heights[0] == pytest.approx(heights[1] / 2, abs=0.2)
    assert heights[2] == 0
    assert "<c>" not in str(chart.svg)
    assert chart.rows == [["a", "2"], ["1", "4"], ["<c>", "0"]]


def test_bars_without_any_value_can_be_drawn():
    assert bar_chart("b", "Sizes", [("a", 0)], x_label="size", y_label="images").rows == [["a", "0"]]
