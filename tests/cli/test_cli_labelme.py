"""``sightline labelme check``, run as a person runs it."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from sightline.cli import cli
from tests.data.labelme_folders import encoded, picture, shape, write


def check(*arguments):
    result = CliRunner().invoke(cli, ["labelme", "check", *map(str, arguments)])
    return result.exit_code, result.stdout


def test_everything_wrong_is_listed_with_what_record_would_do(tmp_path):
    write(
        tmp_path, "a.json", shape(), shape(points=[[-2, 5], [9, 5], [9, 9]]), shape("__ignore__"), flags={"day": True}
    )
    write(tmp_path, "b.json", shape("bus", points=[[1, 1], [2, 2]]), image=False)
    (tmp_path / "c.png").write_bytes(encoded(picture(), "PNG"))
    assert check(tmp_path) == (1, """\
a.json
  shape 1 'car': it reaches from (-2, 5) to (9, 9), outside the image of 64 x 48 pixels; move it into the image, \
or let record clip it (data.faults.outside_image=clip)
b.json
  image b.jpg does not exist; add the image, or correct imagePath
  shape 0 'bus': a polygon needs at least 3 points, found 2; draw the shape again or delete it

2 files, 4 shapes -> 1 image, 3 instances
  outside_image           1  data.faults.outside_image=clip: 1 cut at the image's border
  zero_area               1  data.faults.zero_area=drop: 0 left out
  missing_image           1  data.faults.missing_image=error: record stops

labels
  __ignore__      1
  bus             1
  car             2
to use all of them as classes:
  --set 'data.classes=[bus, car]' --set 'data.ignored_labels=[__ignore__]'

note: 1 image has no JSON file and is not part of the dataset

3 faults; record would stop at 1 of them
""")  # fmt: skip


def test_a_folder_without_faults_exits_with_zero(tmp_path):
    write(tmp_path, "a.json", shape("0"))
    code, text = check(tmp_path)
    assert code == 0
    assert text.endswith("""--set 'data.classes=['"'"'0'"'"']'\n\nno fault\n""")


def test_labels_are_checked_against_a_recipe(tmp_path):
    write(tmp_path, "a.json", shape("r_bord"), shape("7", points=[[1, 1], [5, 1], [5, 5]]))
    code, text = check(tmp_path, "--recipe", "plates", "--set", "data.faults.unknown_label=drop")
    assert code == 1
    assert "(did you mean 'r_board'?)" in text
    assert "unknown_label           1  data.faults.unknown_label=drop: 1 left out" in text
    assert "classes without a shape: 0, 1, 2, " in text
    assert text.endswith("1 fault; record would go on, as the policies say\n")


def test_labels_are_checked_against_classes_alone(tmp_path):
    write(tmp_path, "a.json", shape("cars"))
    code, text = check(tmp_path, "--set", "data.classes=[car]")
    assert code == 1
    assert "the label is not in data.classes (did you mean 'car'?)" in text


def test_unprintable_labels_are_shown_escaped(tmp_path):
    write(tmp_path, "a.json", shape("\x1b[31mred"))
    _, text = check(tmp_path)
    assert "\x1b" not in text


@pytest.mark.parametrize("content", [None, "{"])
def test_the_exit_code_reaches_the_shell(content, tmp_path):
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    command = [sys.executable, "-c", "from sightline.cli import main; main()", "labelme", "check", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    if content is None:
        assert done.stderr.startswith(f"error: {tmp_path} holds no labelme annotations: 0 images")
