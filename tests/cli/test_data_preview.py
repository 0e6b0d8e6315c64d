import base64
import json
import re

import pytest
from click.testing import CliRunner

from sightline.cli import cli
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.tags import DatasetTag
from sightline.errors import ConfigurationError, DataError
from tests.squares import write_labelme

OPTIONS = ["--recipe", "instance_segmentation_small", "--set", "data.classes=[square, disc]"]


def preview(*arguments):
    result = CliRunner().invoke(cli, ["data", "preview", *OPTIONS, *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_folder_of_labelme_files_becomes_a_page(tmp_path):
    write_labelme(tmp_path / "labels", 4)
    changes = "train.augmentation=[{name: rotate, degrees: 20}, {name: mosaic, probability: 0.25}]"
    page = tmp_path / "out" / "page.html"
    result = preview(tmp_path / "labels", "--images", 3, "--samples", 2, "-o", page, "--set", changes)
    assert result.exit_code == 0
    assert str(page) in result.output
    text = page.read_text()
    assert text.count("<img ") == 3 * (1 + 2)
    assert "degrees: 20" in text
    assert "25" in text
    pictures = {base64.b64decode(data) for data in re.findall(r"data:image/jpeg;base64,([^\"]+)", text)}
    assert len(pictures) == 9  # no two are alike
    preview(tmp_path / "labels", "--images", 3, "--samples", 2, "-o", tmp_path / "again.html", "--set", changes)
    assert (tmp_path / "again.html").read_text() == text


def test_images_embedded_in_their_json_files_are_shown(tmp_path):
    folder = tmp_path / "labels"
    write_labelme(folder, 2)
    for path in folder.glob("*.json"):
        image = path.with_suffix(".png")
        document = json.loads(path.read_text()) | {"imageData": base64.b64encode(image.read_bytes()).decode()}
        path.write_text(json.dumps(document))
        image.unlink()
    assert preview(folder, "-o", tmp_path / "page.html").exit_code == 0
    assert (tmp_path / "page.html").read_text().count("<h2>") == 3


def test_a_recipe_without_augmentation_says_so(tmp_path):
    write_labelme(tmp_path / "labels", 1)
    preview(tmp_path / "labels", "-o", tmp_path / "page.html", "--set", "train.augmentation=[]")
    assert "images are not changed" in (tmp_path / "page.html").read_text()


def test_labels_that_are_no_class_are_noted(tmp_path):
    write_labelme(tmp_path / "labels", 2)
    preview(tmp_path / "labels", "-o", tmp_path / "page.html", "--set", "data.classes=[square]")
    assert "2 faults in the annotations" in (tmp_path / "page.html").read_text()


def test_a_dataset_version_is_shown_from_the_repository(tmp_path):
    write_labelme(tmp_path / "labels", 2)
    init_repository(tmp_path / "data", str(tmp_path / "remote"))
    add_annotations(tmp_path / "data", tmp_path / "labels", DatasetTag.parse("shapes_ann_v1"))
    places = ["--set", f"data.repository={tmp_path / 'data'}", "--set", f"work.dir={tmp_path / 'work'}"]
    assert preview("shapes_ann_v1", "-o", tmp_path / "page.html", *places).exit_code == 0
    text = (tmp_path / "page.html").read_text()
    assert "shapes_ann_v1" in text
    assert text.count("<h2>") == 3


@pytest.mark.parametrize(("source", "error"), [("nothing", ConfigurationError), (".", DataError)])
def test_a_source_without_images_is_refused(source, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error):
        preview(source)
