"""``sightline check`` and ``sightline data add`` on every format."""

import shlex

import pytest
from click.testing import CliRunner

from sightline.cli import cli
from sightline.config.decode import decode
from sightline.data.repository.history import open_history
from sightline.data.tags import DatasetTag
from tests.data.formats.generated import coco, write_image, yolo
from tests.data.formats.labelme_folders import encoded, picture, shape
from tests.data.formats.labelme_folders import write as labelme

NAMES = ["nose", "left_eye", "right_eye"]
BOX = {"bbox": [5, 6, 20, 10]}


def run(*arguments, code=0):
    result = CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout


def suggested(text):
    """The options of the line to paste."""
    line = text.split("to use all of these labels as classes:\n  ")[1].split("\n")[0]
    return shlex.split(line)


def test_class_folders(tmp_path):
    for seed, path in enumerate(("train/good/a.jpg", "train/crack/b.jpg", "val/good/c.jpg", "val/crack/d.jpg")):
        write_image(tmp_path / path, seed)
    text = run("check", tmp_path)
    assert text.startswith("folders: 4 labels -> 4 images\n")
    assert suggested(text) == ["--recipe", "classification", "--set", "data.classes=[crack, good]"]
    assert run("check", tmp_path, "--set", "data.classes=[crack, good]").endswith("no fault\n")
    (tmp_path / "val/crack").rename(tmp_path / "val/crakc")
    text = run("check", tmp_path, "--set", "data.classes=[crack, good]", code=1)
    assert "val/crakc\n  the label is not a class" in text
    assert "unknown_label           1  data.faults.unknown_label=error: record stops" in text


def test_csv(tmp_path):
    rows = ["path,mask,age,person,split", "a.jpg,with,young,p1,train", "b.jpg,without,old,p2,val", "c.jpg,with,,p2,val"]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    for seed, name in enumerate("abcd"):
        write_image(tmp_path / f"{name}.jpg", seed)
    text = run("check", tmp_path, code=1)
    assert text.startswith("labels.csv\n  line 4: no label in the column age; label the image")
    assert "csv: 1 file, 5 labels -> 2 images" in text
    assert "note: 1 image without annotations, so not part of the dataset\n" in text
    assert suggested(text) == [
        "--recipe", "classification", "--set", "data.label_sets={mask: [with, without], age: [old, young]}",
        "--set", "data.columns.group=person", "--set", "data.columns.split=split",
    ]  # fmt: skip
    again = run("check", tmp_path, *suggested(text), code=1)
    assert "labels.csv\n  line 4: no label of the label set age" in again
    assert run("check", tmp_path, *suggested(text)[2:], code=1) == again


def test_coco_with_keypoints(tmp_path):
    categories = [{"id": 1, "name": "cat", "keypoints": NAMES, "skeleton": [[1, 2], [1, 3]], "supercategory": "animal"}]
    coco(tmp_path, annotations=[{**BOX, "keypoints": [20, 10, 2, 12, 8, 1, 0, 0, 0]}], categories=categories)
    text = run("check", tmp_path)
    assert text.startswith("coco: 1 file, 1 object -> 1 image, 1 instance\n")
    options = suggested(text)
    assert options[:2] == ["--recipe", "keypoints"]
    data = decode("keypoints", options[3::2]).data
    assert (data.classes, data.keypoints.names) == (("cat",), tuple(NAMES))
    assert data.keypoints.skeleton == (("nose", "left_eye"), ("nose", "right_eye"))
    assert data.keypoints.flip_pairs == (("left_eye", "right_eye"),)
    assert text.count("data.keypoints.skeleton") == 1  # in the options, not in a note
    del categories[0]["skeleton"]
    coco(tmp_path, annotations=[{**BOX, "keypoints": [20, 10, 2, 12, 8, 1, 0, 0, 0]}], categories=categories)
    assert "set data.keypoints.skeleton\n" in run("check", tmp_path)


def test_yolo(tmp_path):
    yolo(tmp_path, ["0 0.5 0.5 0.2 0.2", "9 0.5 0.5 0.2 0.2"])
    yolo(tmp_path, None, split="val", seed=1)
    text = run("check", tmp_path, code=1)
    assert text.startswith("labels/train/a.txt\n  line 2: the class is 9, but 'names' has only 2")
    assert "yolo: 1 file, 1 object -> 1 image, 1 instance\n" in text
    assert suggested(text) == ["--recipe", "object_detection", "--set", "data.classes=[car]"]
    assert "note: 1 image without annotations, so not part of the dataset\n" in text


def test_one_outline_is_enough_for_masks(tmp_path):
    yolo(tmp_path, ["0 0.5 0.5 0.2 0.2", "0 0.1 0.1 0.5 0.1 0.3 0.4"], description="names: [car]\n")
    assert suggested(run("check", tmp_path)) == ["--set", "data.classes=[car]"]


def test_flags_of_labelme(tmp_path):
    labelme(tmp_path, "a.json", flags={"mask/with": True, "age/old": True})
    labelme(tmp_path, "b.json", flags={"mask/without": True, "age/young": True}, seed=1)
    text = run("check", tmp_path)
    assert suggested(text)[-1] == "data.label_sets={age: [old, young], mask: [with, without]}"
    labelme(tmp_path, "c.json", shape(), flags={"day": True}, seed=2)
    assert suggested(run("check", tmp_path)) == ["--recipe", "object_detection", "--set", "data.classes=[car]"]


def test_the_former_name_says_so_once(tmp_path):
    labelme(tmp_path, "a.json", shape())
    result = CliRunner().invoke(cli, ["labelme", "check", str(tmp_path), "--set", "data.classes=[car]"])
    assert result.exit_code == 0
    assert result.stderr.count("sightline check") == 1
    assert result.stdout == run("check", tmp_path, "--set", "data.classes=[car]")


def files_of_coco(root):
    coco(root, annotations=[BOX])
    return ["annotations/train.json", "images/a.jpg"], "object_detection_small"


def files_of_yolo(root):
    yolo(root, ["0 0.5 0.5 0.2 0.2"], description="names: [car]\n")
    (root / "README.md").write_text("notes")
    return ["README.md", "data.yaml", "images/train/a.jpg", "labels/train/a.txt"], "object_detection_small"


def files_of_csv(root):
    for seed, name in enumerate("ab"):
        write_image(root / f"{name}.jpg", seed)
    (root / "labels.csv").write_text("path,class\na.jpg,good\nb.jpg,crack\n")
    return ["a.jpg", "b.jpg", "labels.csv"], "classification_small"


def files_of_folders(root):
    for seed, name in enumerate(("good/a.jpg", "crack/b.jpg")):
        write_image(root / name, seed)
    return ["crack/b.jpg", "good/a.jpg"], "classification_small"


@pytest.mark.parametrize("write", [files_of_coco, files_of_yolo, files_of_csv, files_of_folders])
def test_add_stores_all_files_of_a_format_or_nothing(write, tmp_path, sightline_home):
    expected, recipe = write(tmp_path / "photos")
    run("data", "init", tmp_path / "data", "--remote", tmp_path / "remote")
    damaged = next(name for name in expected if name.endswith(".jpg"))
    (tmp_path / "photos" / damaged).write_bytes(b"no image")
    refused = CliRunner().invoke(cli, ["data", "add", str(tmp_path / "photos"), "--dataset", "d", "--version", "v1"])
    assert "1 fault that would stop record; nothing was stored" in str(refused.exception)
    (tmp_path / "photos" / damaged).write_bytes(encoded(picture(5)))
    said = run("data", "add", tmp_path / "photos", "--dataset", "d", "--version", "v1")
    assert f"--recipe {recipe}" in said.splitlines()[-1]
    tag = DatasetTag.parse("d_ann_v1")
    with open_history(str(tmp_path / "data"), [tag], 60) as history:
        assert sorted(history.manifest(tag)) == expected


def test_points_of_labelme_objects_are_keypoints(tmp_path):
    points = [shape(name, points=[[12 + i, 12]], shape_type="point", group_id=1) for i, name in enumerate(NAMES)]
    labelme(tmp_path, "a.json", shape("cat", group_id=1), *points)
    text = run("check", tmp_path)
    assert suggested(text)[:4] == ["--recipe", "keypoints", "--set", "data.classes=[cat]"]
    assert "data.keypoints.flip_pairs=[[left_eye, right_eye]]" in suggested(text)
    assert run("check", tmp_path, *suggested(text)).endswith("no fault\n")
