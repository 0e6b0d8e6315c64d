"""record on folders of every format: the same documents, the given splits, and nothing if there is a fault."""

import json
from collections import Counter

import pytest

from sightline.config.decode import decode
from sightline.data.formats.coco import read_coco
from sightline.data.label_schema import keypoint_schema, label_sets
from sightline.data.repository.checkout import checkout
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.tags import DatasetTag
from sightline.data.workspace import Workspace
from sightline.errors import DataError
from sightline.steps import record
from tests.data.formats.generated import write_image
from tests.data.formats.labelme_folders import HEIGHT, WIDTH
from tests.steps.test_record import World

SPLITS = ("train", "val", "test")
COUNTS = {"train": 6, "val": 3, "test": 3}
CLASSES = ("cat", "dog")
PLACES = [(split, f"{split}{number}") for split in SPLITS for number in range(COUNTS[split])]
KEYPOINTS = ("data.keypoints.names=[nose, tail]", "data.keypoints.flip_pairs=[[nose, tail]]")


def pictures(root, pattern):
    for seed, (split, name) in enumerate(PLACES):
        write_image(root / pattern.format(split=split, name=name, label=CLASSES[seed % 2]), seed)


def folders(root):
    pictures(root, "{split}/{label}/{name}.jpg")


def csv(root):
    pictures(root, "images/{name}.jpg")
    rows = [f"{name}.jpg;{CLASSES[i % 2]};{split}" for i, (split, name) in enumerate(PLACES)]
    (root / "labels.csv").write_text("\n".join(["path;class;part", *rows]), encoding="utf-8-sig")


def coco(root):
    pictures(root, "images/{name}.jpg")
    (root / "annotations").mkdir()
    for split in SPLITS:
        mine = [(i, name) for i, (part, name) in enumerate(PLACES) if part == split]
        points = [20, 20, 2, 0, 0, 0]
        document = {
            "images": [{"id": i, "file_name": f"{name}.jpg", "width": WIDTH, "height": HEIGHT} for i, name in mine],
            "annotations": [
                {"id": i, "image_id": i, "category_id": i % 2, "bbox": [16, 12, 32, 24], "keypoints": points}
                for i, _ in mine
            ],
            "categories": [{"id": i, "name": name, "keypoints": ["nose", "tail"]} for i, name in enumerate(CLASSES)],
        }
        (root / f"annotations/instances_{split}.json").write_text(json.dumps(document))


def yolo(root):
    pictures(root, "images/{split}/{name}.jpg")
    for i, (split, name) in enumerate(PLACES):
        path = root / f"labels/{split}/{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{i % 2} 0.5 0.5 0.5 0.5 0.3125 {20 / 48} 2 0 0 0\n")
    (root / "dataset.yaml").write_text(
        "path: .\ntrain: images/train\nval: images/val\ntest: images/test\nkpt_shape: [2, 3]\nnames: {0: cat, 1: dog}\n"
    )


def config_of(world, recipe, *overrides):
    """The configuration of a run in this world."""
    places = world.config("pets_ann_v1")
    return decode(recipe, [
        "data.tag=pets_ann_v1", "data.classes=[cat, dog]", "data.near_duplicates=off", "data.jobs=1",
        f"data.repository={places.data.repository}", f"storage.uri={places.storage.uri}",
        f"database.url={places.database.url}", f"work.dir={places.work.dir}", *overrides,
    ])  # fmt: skip


def recorded(tmp_path, write, recipe, *overrides):
    """The documents of each split of a folder that was added and recorded."""
    world = World(tmp_path)
    init_repository(world.repository, str(world.remote))
    write(world.photos)
    world.add("pets_ann_v1")
    result = record.run(config_of(world, recipe, *overrides), "0.1.0-test")
    found = checkout(Workspace(str(world.repository), tmp_path / "other"), result.training_tag)
    tag = DatasetTag.parse(result.training_tag)
    return {split: read_coco(found.path / tag.folder / f"{split}.json") for split in SPLITS}, result


def stems(document):
    return {image["file_name"].rpartition("/")[2].removesuffix(".jpg") for image in document["images"]}


def expected_stems(split):
    return {name for part, name in PLACES if part == split}


@pytest.mark.parametrize(("write", "overrides"), [(folders, []), (csv, ["data.columns.split=part"])])
def test_labels_of_whole_images(write, overrides, tmp_path):
    documents, result = recorded(tmp_path, write, "classification_small", *overrides)
    assert result.images == COUNTS
    assert result.instances["train"] == {"cat": 3, "dog": 3}
    for split, document in documents.items():
        assert stems(document) == expected_stems(split)
        (schema,) = label_sets(document)
        assert (schema.classes, schema.multiple) == (CLASSES, False)
        assert Counter(label for image in document["images"] for label in image["labels"]).keys() == {1, 2}
        assert document["annotations"] == []


@pytest.mark.parametrize("write", [coco, yolo])
def test_objects_with_keypoints(write, tmp_path):
    documents, result = recorded(tmp_path, write, "keypoints_small", *KEYPOINTS)
    assert result.images == COUNTS
    for split, document in documents.items():
        assert stems(document) == expected_stems(split)
        assert keypoint_schema(document).names == ("nose", "tail")
        assert {tuple(one["bbox"]) for one in document["annotations"]} == {(16, 12, 32, 24)}
        assert {one["area"] for one in document["annotations"]} == {32 * 24}
        assert {tuple(one["keypoints"]) for one in document["annotations"]} == {(20, 20, 2, 0, 0, 0)}


def test_given_splits_can_be_ignored(tmp_path):
    splits = "data.splits={train: 0.5, val: 0.25, test: 0.25}"
    documents, result = recorded(tmp_path, yolo, "object_detection", "data.given_splits=off", splits)
    assert result.images == COUNTS
    assert any(stems(document) != expected_stems(split) for split, document in documents.items())


def test_a_class_misspelt_in_one_split_stops_record_and_is_listed(tmp_path):
    world = World(tmp_path)
    init_repository(world.repository, str(world.remote))
    folders(world.photos)
    (world.photos / "val/cat").rename(world.photos / "val/cta")
    with pytest.raises(DataError, match="val/cta"):
        world.add("pets_ann_v1")
    assert world.tags() == {}
    add_annotations(world.repository, world.photos, DatasetTag.parse("pets_ann_v1"), allow_faults=True)
    with pytest.raises(DataError, match="'cta': 1 label in 1 file") as caught:
        record.run(config_of(world, "classification_small"), "0.1.0-test")
    assert "did you mean 'cat'" in str(caught.value)
    listed = (tmp_path / "work/faults/pets_ann_v1.txt").read_text()
    assert listed.startswith("val/cta ('cta'): ")
    assert list(world.tags()) == ["pets_ann_v1"]
