"""``sightline data suggest`` with models that are trained here, on folders that are not plain."""

import base64
import hashlib
import json
import re

import pytest
from click.testing import CliRunner
from PIL import Image

from sightline.cli import cli
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.tags import DatasetTag
from sightline.errors import DataError, ModelFileError, UnknownTagError
from sightline.models.model_file import save_model
from sightline.runs.local_run import LocalRun
from sightline.steps import task
from sightline.tasks.base import load_task
from tests import classified, squares
from tests.labelme_reader import open_file, save_file
from tests.prediction.test_label_loop import train_classifier, train_detector
from tests.shapes_world import World


def sightline(*arguments):
    result = CliRunner().invoke(cli, [str(part) for part in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """A detector of squares and discs."""
    folder = tmp_path_factory.mktemp("detector")
    squares.write_labelme(folder / "photos", 60)
    train_detector(folder / "photos", folder / "model.safetensors")
    return folder / "model.safetensors"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A classifier of colors."""
    folder = tmp_path_factory.mktemp("classifier")
    classified.write_labelme(folder / "photos", 60)
    train_classifier(folder / "photos", folder / "model.safetensors", 25)
    return folder / "model.safetensors"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data repository of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGHTLINE_SETTINGS", str(tmp_path / "settings.yaml"))
    (tmp_path / "settings.yaml").write_text(f"work: {{dir: {tmp_path / 'work'}}}\n")
    sightline("data", "init", tmp_path / "data", "--remote", tmp_path / "remote")
    return tmp_path


def add(folder, version="v1"):
    return sightline("data", "add", folder, "--dataset", "shapes", "--version", version)


def suggest(model, out, *options, tag="shapes_ann_v1"):
    return sightline("data", "suggest", model, tag, "-o", out, *options)


def relabel(folder, number, index=0):
    """Give a shape the other class; returns its true class."""
    path = folder / f"{number}.json"
    document = json.loads(path.read_text())
    shape = document["shapes"][index]
    true = shape["label"]
    shape["label"] = squares.CLASSES[1 - squares.CLASSES.index(true)]
    path.write_text(json.dumps(document))
    return true


def suggestions(path):
    _, shapes, _ = open_file(path)
    return [
        (shape["label"], shape["sightline"]["kind"]) for shape in shapes if "suggestion" in shape.get("sightline", {})
    ]


def test_only_files_with_suggestions_are_written_and_nothing_is_overwritten(home, detector):
    squares.write_labelme(home / "photos", 20)
    true = relabel(home / "photos", 3)
    add(home / "photos")
    said = suggest(detector, home / "out")
    assert suggestions(home / "out/3.json") == [(f"{true}?", "wrong class")]
    assert "checked: 20 images" in said
    assert len(list((home / "out").glob("*.json"))) == len(list((home / "out").glob("*.png"))) < 10
    before = {path.name: path.read_bytes() for path in (home / "out").iterdir()}
    with pytest.raises(DataError):
        suggest(detector, home / "out")
    assert {path.name: path.read_bytes() for path in (home / "out").iterdir()} == before
    suggest(detector, home / "again")
    assert {path.name: path.read_bytes() for path in (home / "again").iterdir()} == before
    assert len(list(suggest_one(detector, home))) == 1


def suggest_one(detector, home):
    suggest(detector, home / "one", "--limit", "1", "--min-score", "0.1")
    return (home / "one").glob("*.json")


def test_nothing_is_written_without_suggestions(home, detector):
    squares.write_labelme(home / "photos", 4)
    add(home / "photos")
    said = suggest(detector, home / "out", "--min-score", "1")
    assert "0 suggestions" in said
    assert not (home / "out").exists()


def test_embedded_turned_and_korean_images(home, detector):
    squares.write_labelme(home / "plain", 36)
    photos = home / "photos" / "강아지"
    photos.mkdir(parents=True)
    for number in range(36):
        if number % 4 == 0:
            relabel(home / "plain", number)
        file, name = home / "plain" / f"{number}.png", f"사진 {number}"
        document = json.loads(file.with_suffix(".json").read_text()) | {"imagePath": f"{name}.png"}
        if number % 3 == 0:  # the image is in the file
            document["imageData"] = base64.b64encode(file.read_bytes()).decode()
        elif number % 3 == 1:  # stored turned, shown upright
            exif = Image.Exif()
            exif[0x0112] = 6
            squares.draw(number)[0].transpose(Image.Transpose.ROTATE_90).save(photos / f"{name}.png", exif=exif)
        else:
            squares.draw(number)[0].save(photos / f"{name}.png")
        (photos / f"{name}.json").write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    add(home / "photos")
    suggest(detector, home / "out")
    found = {path.stem: suggestions(path) for path in (home / "out" / "강아지").glob("*.json")}
    kinds = {int(name.split()[1]) % 3 for name, made in found.items() if any(kind == "wrong class" for _, kind in made)}
    assert kinds == {0, 1, 2}
    for path in (home / "out" / "강아지").glob("*.json"):
        document, shapes, flags = open_file(path)
        flags["accept suggestions"] = True
        save_file(path, document, shapes, flags)
    assert "accepted" in add(home / "out", "v2")
    assert "sightline" not in (home / "data/annotations/shapes/강아지" / f"{min(found)}.json").read_text()


def test_a_dataset_of_another_format_becomes_labelme(home, detector):
    squares.write_labelme(home / "photos", 20)
    true = relabel(home / "photos", 3)
    sightline("dataset", "convert", home / "photos", home / "coco", "--to", "coco")
    add(home / "coco")
    said = suggest(detector, home / "out", "--limit", "1")
    assert "not in labelme's format" in said
    files = list((home / "out").rglob("*.json"))
    assert len(files) == 20
    (path,) = [path for path in files if "sightline" in path.read_text()]
    assert path.relative_to(home / "out").as_posix() in said  # it would be hard to find among all images
    document, shapes, flags = open_file(path)
    (shape,) = [one for one in shapes if one["label"].endswith("?")]
    assert true
    shape["label"] = shape["label"].removesuffix("?")
    save_file(path, document, shapes, flags)
    assert "1 accepted" in add(home / "out", "v2")
    assert json.loads(sightline("data", "show", "shapes_ann_v2", "--json"))["annotation_files"] == 20


def test_pre_labels_of_new_images(home, detector):
    squares.write_labelme(home / "photos", 4)
    add(home / "photos")
    new = home / "new"
    (new / "강").mkdir(parents=True)
    for number in range(40, 44):
        squares.draw(number)[0].save(new / f"{number}.png")
        squares.draw(number)[0].transpose(Image.Transpose.ROTATE_180).save(new / "강" / f"{number}.png")
    squares.draw(0)[0].save(new / "known.png")
    (new / "copy.png").write_bytes((new / "40.png").read_bytes())
    squares.draw(50)[0].save(new / "40.bmp")  # the same name but for its extension
    (new / "broken.jpg").write_bytes(b"no image")
    said = suggest(detector, home / "out", "--images", new, "--min-score", "0.3")
    assert "they have labels already: 1 image" in said
    assert "copies of others: 1 image" in said
    assert "broken.jpg" in said
    files = sorted(path.relative_to(home / "out").as_posix() for path in (home / "out").rglob("*.json"))
    assert len(files) == 9
    assert {line.strip() for line in said.splitlines() if line.endswith(".json")} == set(files)
    assert {kind for file in files for _, kind in suggestions(home / "out" / file)} == {"missing"}
    assert sum(bool(suggestions(home / "out" / file)) for file in files) >= 6

    for file in files[:2]:
        document, shapes, flags = open_file(home / "out" / file)
        flags["accept suggestions"] = True
        save_file(home / "out" / file, document, shapes, flags)
    said = add(home / "out", "v2")
    assert "left out: 7 new images without a decision" in said
    shown = json.loads(sightline("data", "show", "shapes_ann_v2", "--json"))
    assert shown["annotation_files"] == 6
    assert shown["suggestions"]["for"] == "shapes_ann_v1"
    suggest(detector, home / "third", "--images", new, "--min-score", "0.3", tag="shapes_ann_v2")
    assert {path.name for path in (home / "third").iterdir()} == {"added-2"}


def test_the_images_most_worth_labeling(home, detector):
    squares.write_labelme(home / "photos", 2)
    add(home / "photos")
    (home / "new").mkdir()
    for number in range(40, 50):
        squares.draw(number)[0].save(home / "new" / f"{number}.png")
    suggest(detector, home / "out", "--images", home / "new", "--select", "3")
    suggest(detector, home / "again", "--images", home / "new", "--select", "3")
    chosen = sorted(path.name for path in (home / "out/added-1").glob("*.png"))
    assert len(chosen) == 3
    assert chosen == sorted(path.name for path in (home / "again/added-1").glob("*.png"))
    result = CliRunner().invoke(cli, ["data", "suggest", str(detector), "shapes_ann_v1", "-o", "x", "--select", "3"])
    assert result.exit_code == 2


def test_a_model_that_does_not_suit_the_dataset(home, detector, classifier):
    squares.write_labelme(home / "photos", 4)
    add(home / "photos")
    with pytest.raises(DataError, match="classification"):
        suggest(classifier, home / "out")
    classified.write_labelme(home / "colors", 6)
    sightline("data", "add", home / "colors", "--dataset", "colors", "--version", "v1")
    with pytest.raises(DataError, match="object_detection"):
        suggest(detector, home / "out", tag="colors_ann_v1")
    for path in (home / "photos").glob("*.json"):
        path.write_text(path.read_text().replace('"square"', '"cat"').replace('"disc"', '"dog"'))
    sightline("data", "add", home / "photos", "--dataset", "pets", "--version", "v1")
    with pytest.raises(DataError, match="square"):
        suggest(detector, home / "out", tag="pets_ann_v1")
    with pytest.raises(UnknownTagError):
        suggest(detector, home / "out", tag="shapes_ann_v9")
    with pytest.raises(DataError, match="no splits"):
        suggest(detector, home / "out", "--split", "val")
    with pytest.raises(ModelFileError):
        suggest(home / "nothing.safetensors", home / "out")
    (home / "empty").mkdir()
    with pytest.raises(DataError, match="--images"):
        suggest(detector, home / "out", "--images", home / "empty")
    assert not (home / "out").exists()


def test_objects_of_a_class_that_the_model_does_not_know_are_not_missing(home, detector):
    squares.write_labelme(home / "photos", 20)
    for path in (home / "photos").glob("*.json"):
        path.write_text(path.read_text().replace('"disc"', '"coin"'))
    add(home / "photos")
    said = suggest(detector, home / "out")
    assert "coin" in said
    made = (
        [one for path in (home / "out").glob("*.json") for one in suggestions(path)] if (home / "out").exists() else []
    )
    assert [one for one in made if one == ("disc?", "missing")] == []


def test_a_folder_for_another_dataset_or_a_removed_version_is_refused(home, classifier):
    classified.write_labelme(home / "photos", 12)
    path = home / "photos/0.json"
    document = json.loads(path.read_text())
    document["flags"] = {name: name == "green" for name in document["flags"]}
    path.write_text(json.dumps(document))
    add(home / "photos")
    suggest(classifier, home / "out")
    with pytest.raises(DataError, match="--dataset shapes"):
        sightline("data", "add", home / "out", "--dataset", "colors", "--version", "v1")
    for file in (home / "out").glob("*.json"):
        text = file.read_text().replace("shapes_ann_v1", "shapes_ann_v7")
        file.write_text(text)
    with pytest.raises(UnknownTagError):
        add(home / "out", "v2")


def test_adding_again_changes_nothing(home, detector):
    squares.write_labelme(home / "photos", 12)
    relabel(home / "photos", 3)
    add(home / "photos")
    suggest(detector, home / "out")
    first = add(home / "out", "v2")
    assert "not decided" in first
    digest = hashlib.sha256((home / "out/3.json").read_bytes()).hexdigest()
    assert "already exists; nothing changed" in add(home / "out", "v2")
    assert hashlib.sha256((home / "out/3.json").read_bytes()).hexdigest() == digest
    v1, v2 = (json.loads(sightline("data", "show", f"shapes_ann_{name}", "--json")) for name in ("v1", "v2"))
    assert v1["digest"] == v2["digest"]  # nothing was decided


def test_label_sets_that_allow_several_classes(home):
    classified.write_labelme(home / "photos", 12, sets=classified.SEVERAL)
    add(home / "photos")
    document = classified.write_coco(home / "coco", 12, sets=classified.SEVERAL)
    classifying = load_task("classification")
    model = classified.fitted(classifying, "cnn", document)
    network = classifying.build_network(model, len(document["categories"]))
    save_model(home / "model.safetensors", network, classified.make_card(model, classified.SEVERAL))
    said = suggest(home / "model.safetensors", home / "out")
    assert "checked: 12 images" in said
    assert "fault" not in said


def test_the_val_split_of_a_recorded_version(tmp_path, monkeypatch):
    """It is read as it was recorded: the aliases of the recipe apply."""
    world = World(tmp_path)
    squares.write_labelme(tmp_path / "shapes", 10)
    for path in (tmp_path / "shapes").glob("*.json"):
        path.write_text(path.read_text().replace('"square"', '"Square"'))
    init_repository(tmp_path / "data", str(tmp_path / "remote"))
    add_annotations(tmp_path / "data", tmp_path / "shapes", DatasetTag.parse("shapes_ann_v1"), allow_faults=True)
    overrides = world.overrides("data.aliases={Square: square}")
    with LocalRun.begin("instance_segmentation", overrides, ["record"], entry_point="x") as recording:
        monkeypatch.setenv("SIGHTLINE_RUN_ID", recording.document.run_id)
        resolved = task.run_resolve("instance_segmentation", "\n".join(overrides), "", "", steps="record")
        given = resolved.config.model_dump_json(), resolved.code_rev
        task.run_record(*given, str(recording.folder / "report.html"))
    monkeypatch.delenv("SIGHTLINE_RUN_ID")
    monkeypatch.setenv("SIGHTLINE_SETTINGS", str(tmp_path / "settings.yaml"))
    settings = {"data": {"repository": str(tmp_path / "data")}, "work": {"dir": str(tmp_path / "work")}}
    (tmp_path / "settings.yaml").write_text(json.dumps(settings))
    network = load_task("instance_segmentation").build_network(squares.TINY_MODEL, 2)
    save_model(tmp_path / "model.safetensors", network, squares.make_card())
    counts = {}
    for split in ("train", "val", "test", "all"):
        said = suggest(tmp_path / "model.safetensors", tmp_path / split, "--split", split, tag="shapes_train_v1")
        (counts[split],) = map(int, re.findall(r"checked: (\d+) image", said))
        assert "note" not in said
    assert counts["all"] == counts["train"] + counts["val"] + counts["test"] == 10
    assert 0 < counts["val"] < counts["train"]
