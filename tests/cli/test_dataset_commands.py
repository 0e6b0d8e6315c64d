"""``sightline dataset`` as a person types it: the commands one after another, dry runs, and bad input."""

import json
import re

import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from sightline.cli import cli
from tests.data.tools.folders import tree, write_class_folders
from tests.data.tools.test_convert import square, write_coco
from tests.labelled_folder import names, write_images


def run(*arguments):
    result = CliRunner().invoke(cli, ["dataset", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_story_of_the_face_tools(tmp_path):
    """Sample, rename, convert, split, crop and synchronize, each from the output of the one before."""
    source = write_images(tmp_path / "in", names(30))
    before = tree(source)
    said = run("sample", source, tmp_path / "sampled", "--fraction", 0.5, "--seed", 7)
    assert said.count("5 of 10 images") == 3  # of each label
    assert "30 files to" in run("rename", tmp_path / "sampled", tmp_path / "renamed", "--by", "uuid")
    said = run("convert", tmp_path / "renamed", tmp_path / "coco", "--to", "coco")
    assert said.startswith("classes: bird, cat, dog\nnothing is lost\nwrote 15 images")
    said = run("split", tmp_path / "coco", tmp_path / "split", "--val", 0.2, "--test", 0.2, "--seed", 1)
    assert said.splitlines()[0].split() == ["train", "val", "test"]
    assert "wrote 15 images (coco)" in said
    said = run("crop", tmp_path / "split", tmp_path / "crops", "--size", "32x32", "--scale", 0.8, "--padding", "black")
    assert "wrote 30 crops of 32x32" in said
    assert {name.split("/")[0] for name in tree(tmp_path / "crops")} == {"train", "val", "test"}
    gone = next((tmp_path / "split" / "images").iterdir())
    gone.unlink()
    lines = "".join(
        run("sync", tmp_path / "split" / f"{name}.json", tmp_path / "split" / "images", tmp_path / f"{name}.json")
        for name in ("train", "val", "test")
    )
    assert gone.name in lines
    restored = run("rename", "--back", tmp_path / "renamed.mapping.csv", tmp_path / "back")
    assert "wrote 30 files" in restored
    assert tree(tmp_path / "back").items() <= before.items()
    assert tree(source) == before


@pytest.mark.parametrize("arguments", [("sample", "--fraction", 1), ("split",), ("check",)])
def test_columns_are_aligned_below_korean_names(tmp_path, arguments):
    source = write_class_folders(tmp_path / "in", {"균열 있음": 12, "good": 12})
    if arguments == ("check",):
        said = CliRunner().invoke(cli, ["check", str(source)]).output
    else:
        said = run(arguments[0], source, tmp_path / "out", *arguments[1:])
    rows = [line for line in said.splitlines() if line.startswith(("  균열", "  '균열", "  good", "  'good"))]
    assert len(rows) == 2, said
    assert len({cell_len(re.match(r".*?\d+", row)[0]) for row in rows}) == 1, said


@pytest.mark.parametrize(
    "arguments",
    [
        ("sample", "{in}", "{out}", "--fraction", "0.5"),
        ("rename", "{in}", "{out}", "--by", "hash"),
        ("split", "{folders}", "{out}"),
        ("convert", "{in}", "{out}", "--to", "yolo"),
        ("crop", "{in}", "{out}", "--size", "16x8"),
        ("explore", "{in}", "{out}"),
        ("sync", "{coco}/instances.json", "{coco}/images", "{out}"),
    ],
)
def test_dry_runs_write_nothing_and_a_taken_output_is_refused(tmp_path, arguments):
    places = {
        "in": write_images(tmp_path / "in", names(6)),
        "folders": write_class_folders(tmp_path / "folders", {"a": 9, "b": 9}),
        "coco": write_coco(tmp_path / "coco", [square(5, 5, 9)]),
        "out": tmp_path / "out",
    }
    filled = [argument.format(**places) for argument in arguments]
    before = tree(tmp_path)
    assert "dry run: nothing was written" in run(*filled, "--dry-run")
    assert tree(tmp_path) == before
    (tmp_path / "out").write_text("mine")
    result = CliRunner().invoke(cli, ["dataset", *filled])
    assert result.exit_code != 0
    assert "already exists" in str(result.exception)
    assert (tmp_path / "out").read_text() == "mine"


def test_what_yolo_cannot_hold_is_listed_and_can_be_accepted(tmp_path):
    source = write_coco(tmp_path / "coco", [square(5, 5, 9), square(30, 5, 9)])
    said = run("convert", source, tmp_path / "yolo", "--to", "yolo", "--dry-run")
    assert "several parts (joined to one polygon): 1" in said
    assert "would be refused" in said
    run("convert", source, tmp_path / "yolo", "--to", "yolo", "--max-loss", 1)


def test_explore_writes_the_page_and_the_numbers(tmp_path):
    source = write_images(tmp_path / "in", names(6))
    (source / "003.jpg").write_bytes(b"broken")
    said = run("explore", source, tmp_path / "page.html", "--json", tmp_path / "page.json")
    assert "broken_image: 1" in said
    document = json.loads((tmp_path / "page.json").read_text())
    assert (document["images"], document["objects"]) == (5, 10)
    assert "<h1>" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    "arguments",
    [("crop", "in", "out", "--size", "224"), ("rename", "in"), ("rename", "in", "out"), ("convert", "in", "out"),
     ("rename", "in", "out", "--by", "uuid", "--back", "m.csv")],
)  # fmt: skip
def test_incomplete_commands_are_usage_errors(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "in", names(1))
    assert CliRunner().invoke(cli, ["dataset", *arguments]).exit_code == 2
    assert not (tmp_path / "out").exists()


def test_every_command_has_its_line_in_the_help(tmp_path):
    from sightline.cli.dataset import COMMANDS, command

    listed = CliRunner().invoke(command, ["--help"]).output
    for name, line in COMMANDS.items():
        assert line in listed
        assert CliRunner().invoke(command, [name, "--help"]).exit_code == 0
