"""``sightline check``, run as a person runs it."""

import shlex
import subprocess
import sys

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from sightline.cli import cli
from sightline.cli.suggested_classes import suggested_overrides
from sightline.config.decode import decode
from sightline.data.formats.labels import LabelMap, cleaned, difference
from tests.data.formats.labelme_folders import encoded, picture, shape, write


def check(*arguments):
    result = CliRunner().invoke(cli, ["check", *map(str, arguments)])
    return result.exit_code, result.stdout


def test_everything_wrong_is_listed_with_what_record_would_do(tmp_path):
    write(
        tmp_path, "a.json", shape(), shape(points=[[-2, 5], [9, 5], [9, 9]]), shape("__ignore__"), flags={"day": True}
    )
    write(tmp_path, "b.json", shape("bus", points=[[1, 1], [2, 2]]), image=False)
    (tmp_path / "c.png").write_bytes(encoded(picture(), "PNG"))
    assert check(tmp_path) == (1, """\
a.json
  shape 1 'car': it extends from (-2, 5) to (9, 9), outside the image of 64 x 48 pixels; move it into the image, \
or let record clip it (data.faults.outside_image=clip)
b.json
  image b.jpg does not exist; add the image, or correct imagePath
  shape 0 'bus': a polygon needs at least 3 points, found 2; draw the shape again or delete it

labelme: 2 files, 4 shapes -> 1 image, 3 instances
  outside_image           1  data.faults.outside_image=clip: 1 cut at the image's border
  zero_area               1  data.faults.zero_area=drop: 0 left out
  missing_image           1  data.faults.missing_image=error: record stops

labels
  __ignore__      1
  bus             1
  car             2
to use all of these labels as classes:
  --set 'data.classes=[bus, car]' --set 'data.ignored_labels=[__ignore__]'

note: 1 image has no JSON file and is not part of the dataset

3 faults; record would stop at 1 of them
""")  # fmt: skip


def test_a_folder_without_faults_exits_with_zero(tmp_path):
    write(tmp_path, "a.json", shape("0"))
    code, text = check(tmp_path)
    assert code == 0
    assert text.endswith("""--set 'data.classes=['"'"'0'"'"']'\n\nno fault\n""")


HARD = [
    "1", "yes", "null", "1e3", "~", "-", "--set", "[a]", "{b: c}", "d, e", "f: g", "#h", "i#j", "k'l", 'm"n', "o\\p",
    "$HOME", "`q`", "!r", "&s", "*t", "u\nv", " w", "x ", "y\u200b", "z\u0301", "Z\u0301", "0x1f", "1_000",
    "2020-01-01", "=", "<<", "?", "| ", "> a", "%b", "@c", "\x1b[31m", "\u202eabc", "사진", "😀", "a" * 300,
    "é" * 200 + " ", "(x", "a.b ", "[", "true", "True", "cat", "Cat", "\u2028", "\x85x", "\ufffe", "a\tb",
    "Straße", "STRASSE", "q" * 600 + " ",
]  # fmt: skip


def test_the_line_to_paste_works_in_a_shell_for_any_labels(tmp_path):
    points = [[[i, 1], [i + 9, 1], [i, 9]] for i in range(len(HARD))]
    write(tmp_path, "a.json", *[shape(label, points=points[i]) for i, label in enumerate(HARD)])
    _, text = check(tmp_path)
    line = text.split("to use all of these labels as classes:\n  ")[1].split("\n")[0]
    assert line.isprintable()
    program = "from sightline.cli import main; main()"
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(program)} check {shlex.quote(str(tmp_path))} {line}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    left = [row for row in done.stdout.split("\n") if row.startswith("  shape")]
    assert all("'label' is empty" in row or "outside the image" in row for row in left), left


@given(labels=st.dictionaries(st.text(min_size=1, max_size=8) | st.sampled_from(HARD), st.integers(1, 9), max_size=8))
def test_the_suggested_settings_make_a_class_of_every_label(labels):
    overrides = suggested_overrides(labels, ["none"])
    named = [label for label in labels if cleaned(label) not in ("", "none", "__ignore__")]
    if not overrides:
        assert not [label for label in named if cleaned(label).casefold() not in ("none", "__ignore__")]
        return
    assert all(override.isprintable() for override in overrides)
    pasted = shlex.split(" ".join(f"--set {shlex.quote(override)}" for override in overrides))
    assert pasted[::2] == ["--set"] * len(overrides)
    data = decode("instance_segmentation", ["data.ignored_labels=[none]", *pasted[1::2]]).data
    meant = LabelMap(data, classes_known=True)
    for label in filter(cleaned, labels):
        target = meant.target(label)
        assert meant.is_class(target) or meant.is_ignored(target)
        assert target == label or difference(label, target)


def test_so_many_labels_that_no_command_line_takes_them(tmp_path):
    write(tmp_path, "a.json", *[shape(f"a rather long label {i}" * 3) for i in range(3000)])
    _, text = check(tmp_path)
    assert "data.classes into your own recipe" in text
    assert "--set" not in text


def test_spellings_are_faults_and_the_line_to_paste_maps_them(tmp_path):
    write(tmp_path, "a.json", shape("cat"), shape("cat "), shape("Cat"), shape("cat", points=[[1, 1], [5, 1], [5, 5]]))
    code, text = check(tmp_path)
    assert code == 1
    assert "  shape 1 'cat ': the label differs from 'cat' by leading or trailing spaces; rename it to 'cat'" in text
    assert """  --set 'data.classes=[cat]' --set 'data.aliases={Cat: cat, '"'"'cat '"'"': cat}'\n""" in text
    code, text = check(tmp_path, "--set", "data.classes=[cat]", "--set", "data.aliases={Cat: cat, 'cat ': cat}")
    assert "  'cat '      1  -> cat\n" in text
    assert "unknown_label" not in text


def test_objects_that_are_left_out_are_listed_class_by_class(tmp_path):
    write(tmp_path, "a.json", shape(), shape(shape_type="point", points=[[5, 5]]), shape(points=[[1, 1]]), shape("bus"))
    write(tmp_path, "b.json", shape("bus", shape_type="line", points=[[5, 5], [9, 9]]))
    _, text = check(tmp_path)
    assert (
        """\
objects left out (they become background):
  2 shapes of class car (unsupported_shape 1, zero_area 1)
  1 shape of class bus (unsupported_shape 1)
"""
        in text
    )


@pytest.mark.parametrize(("count", "said"), [
    (0, ""),
    (1, "note: 1 image has no JSON file and is not part of the dataset\n"),
    (2, "note: 2 images have no JSON file and are not part of the dataset\n"),
])  # fmt: skip
def test_images_without_json_are_counted(count, said, tmp_path):
    write(tmp_path, "a.json")
    for index in range(count):
        (tmp_path / f"b{index}.PNG").write_bytes(b"x")
    _, text = check(tmp_path)
    assert (said or "no fault") in text
    assert ("note" in text) == bool(said)


def test_labels_are_checked_against_a_recipe(tmp_path):
    write(tmp_path, "a.json", shape("r_bord"), shape("7", points=[[1, 1], [5, 1], [5, 5]]))
    code, text = check(tmp_path, "--recipe", "plates", "--set", "data.faults.unknown_label=drop")
    assert code == 1
    assert "(did you mean 'r_board'?)" in text
    assert "unknown_label           1  data.faults.unknown_label=drop: 1 left out" in text
    assert "classes without a shape: 0, 1, 2, " in text
    assert text.endswith("1 fault; record would continue, as set in data.faults\n")


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
    command = [sys.executable, "-c", "from sightline.cli import main; main()", "check", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    if content is None:
        assert done.stderr.startswith(f"error: {tmp_path} is empty; label images with labelme first")
