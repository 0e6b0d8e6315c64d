import re
import subprocess
import sys

from sightline.report.charts import Series, line_chart
from sightline.report.history_charts import history_charts

LINES = [Series("loss", [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]), Series("<b>mask", [1.0, 3.0], [1.0, 0.5])]


def test_a_chart_takes_its_colours_from_the_page():
    chart = line_chart("a", "Loss", LINES, x_label="iteration")
    assert "var(--series-0)" in chart.svg
    assert "var(--series-1)" in chart.svg
    assert "var(--muted)" in chart.svg
    assert not re.search(r"(stroke|fill): #(?!none)", chart.svg)
    assert "DejaVu" not in chart.svg
    assert chart.legend == [("loss", 0, False), ("<b>mask", 1, False)]


def test_a_chart_says_nothing_about_when_or_by_what_it_was_made():
    chart = line_chart("a", "Loss", LINES, x_label="iteration")
    assert "http" not in chart.svg
    assert "metadata" not in chart.svg
    assert "Matplotlib" not in chart.svg


def test_text_is_text_and_is_escaped():
    chart = line_chart("a", 'Loss "<', LINES, x_label="i<script>")
    assert "i&lt;script&gt;" in chart.svg
    assert 'aria-label="Loss &#34;&lt;"' in chart.svg


def test_equal_input_gives_an_equal_chart_and_keys_keep_ids_apart():
    first, again = (line_chart("a", "Loss", LINES, x_label="x").svg for _ in range(2))
    other = line_chart("b", "Loss", LINES, x_label="x").svg
    assert first == again
    ids = [set(re.findall(r'id="([^"]*)"', svg)) for svg in (first, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    used = set(re.findall(r'(?:href="|url\()#([^")]*)', first))
    assert used
    assert used <= ids[0]


def test_series_beyond_the_palette_are_dashed():
    lines = [Series(f"loss_{index}", [0.0, 1.0], [0.0, index]) for index in range(9)]
    chart = line_chart("a", "Losses", lines, x_label="x")
    assert chart.legend[8] == ("loss_8", 0, True)
    assert "stroke-dasharray" in chart.svg


def test_a_history_gives_a_chart_for_each_kind_of_value():
    history = [
        {"iteration": 20, "loss_mask": 0.5, "loss": 1.0, "learning_rate": 0.1, "images_per_second": 4.0},
        {"iteration": 40, "loss_mask": 0.4, "loss": 0.8, "learning_rate": 0.1, "images_per_second": 5.0},
        {"iteration": 40, "val/mask_AP": 0.31},
    ]
    charts = {chart.title: [name for name, _, _ in chart.legend] for chart in history_charts(history)}
    assert charts == {
        "Loss": ["loss", "loss mask"],
        "Validation": ["mask_AP"],
        "Learning rate": ["learning_rate"],
        "Images per second": ["images_per_second"],
    }


def test_a_history_without_values_gives_no_chart():
    assert history_charts([]) == []
    assert history_charts([{"iteration": 1}, {"loss": 2.0}]) == []


def test_the_room_is_imported_without_matplotlib_and_jinja():
    """Commands that write no page start fast."""
    rooms = "draw data_report evaluation_report test_report run_page run_index"
    code = f"import sys, {', '.join(f'sightline.report.{name}' for name in rooms.split())}\n"
    code += "print({'matplotlib', 'jinja2', 'pycocotools', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
