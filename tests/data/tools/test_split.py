"""Splitting: stratified, grouped, stable, for class folders, COCO and YOLO."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.data.tools.assignment import SplitRule
from sightline.data.tools.split import split
from sightline.errors import DataError
from tests.data.tools.folders import tree, write_class_folders
from tests.labelled_folder import write_picture

SPLITS = ("train", "val", "test")


def write_yolo(root, images=10, names="[cat, dog]"):
    for number in range(images):
        (root / "images").mkdir(parents=True, exist_ok=True)
        (root / "labels").mkdir(exist_ok=True)
        write_picture(root / "images" / f"{number:02}.jpg", seed=f"yolo{number}")
        if number:  # the first one has no objects, and no label file
            (root / "labels" / f"{number:02}.txt").write_text(f"{number % 2} 0.5 0.5 0.2 0.2\n")
    (root / "data.yaml").write_text(f"train: images\nnames: {names}\nkpt_shape: [4, 3]\n")
    return root


def write_coco(root, images=10):
    document = {
        "info": {"contributor": "us"},
        "images": [],
        "annotations": [],
        "categories": [{"id": 0, "name": "cat"}, {"id": 7, "name": "개"}],
    }
    (root / "images").mkdir(parents=True)
    for number in range(images):
        write_picture(root / "images" / f"사진 {number}.jpg", seed=f"coco{number}")
        document["images"].append({"id": number, "file_name": f"사진 {number}.jpg", "width": 64, "height": 48, "x": 1})
        document["annotations"].append(
            {"id": number, "image_id": number, "category_id": 7 * (number % 2), "bbox": [1, 2, 3, 4], "custom": "kept"}
        )
    (root / "instances.json").write_text(json.dumps(document))
    return root


def test_every_class_is_split_by_the_fractions(tmp_path):
    source = write_class_folders(tmp_path / "in", {"crack": 40, "good": 20})
    before = tree(source)
    result = split(source, tmp_path / "out", SplitRule(0.2, 0.1))
    assert result.classes == {
        "crack": {"train": 28, "val": 8, "test": 4},
        "good": {"train": 14, "val": 4, "test": 2},
    }
    assert result.images == {"train": 42, "val": 12, "test": 6}
    written = tree(tmp_path / "out")
    assert sorted(written.values()) == sorted(before.values())
    assert {name.split("/")[0] for name in written} == set(SPLITS)
    assert all(before[name.split("/", 1)[1]] == digest for name, digest in written.items())
    assert tree(source) == before


def test_the_split_depends_on_the_contents_and_the_seed_alone(tmp_path):
    source = write_class_folders(tmp_path / "in", {"crack": 30})
    for number, path in enumerate(sorted((source / "crack").iterdir())):
        (tmp_path / "other" / "crack").mkdir(parents=True, exist_ok=True)
        (tmp_path / "other" / "crack" / f"{99 - number}.jpg").write_bytes(path.read_bytes())
    sides = {}
    for name, folder, seed in (("a", "in", 0), ("b", "other", 0), ("c", "in", 1)):
        split(tmp_path / folder, tmp_path / name, SplitRule(seed=seed))
        sides[name] = {digest: path.split("/")[0] for path, digest in tree(tmp_path / name).items()}
    assert sides["a"] == sides["b"]
    assert sides["a"] != sides["c"]


def test_a_group_is_never_in_two_splits(tmp_path):
    for person in range(12):
        for number in range(3):
            label = ("sad", "glad")[number % 2]
            (tmp_path / "in" / label).mkdir(parents=True, exist_ok=True)
            write_picture(tmp_path / "in" / label / f"p{person}_{number}.jpg", seed=f"{person} {number}")
    split(tmp_path / "in", tmp_path / "out", SplitRule(0.25, 0.25, group_pattern=r"(p\d+)_"))
    sides: dict[str, set[str]] = {}
    for name in tree(tmp_path / "out"):
        sides.setdefault(name.rsplit("/", 1)[1].split("_")[0], set()).add(name.split("/")[0])
    assert len(sides) == 12
    assert all(len(side) == 1 for side in sides.values())
    assert set.union(*sides.values()) == set(SPLITS)


@settings(max_examples=20)
@given(st.integers(0, 100), st.lists(st.integers(0, 5), min_size=6, max_size=14))
def test_copies_of_a_file_stay_together(tmp_path_factory, seed, pictures):
    from sightline.data.tools.assignment import Member, assign

    root = tmp_path_factory.mktemp("copies")
    pictures = [0, 1, 2, *pictures]
    members = []
    for number, picture in enumerate(pictures):
        path = root / f"{number}.bin"
        path.write_bytes(bytes([picture]))
        members.append(Member(path.name, path, frozenset({"a"})))
    splits = assign(members, SplitRule(0.3, 0.3, seed))
    assert all(len({s for s, p in zip(splits, pictures, strict=True) if p == picture}) == 1 for picture in pictures)
    assert set(splits) == set(SPLITS)


def test_near_duplicates_stay_together_on_request(tmp_path):
    for number in range(12):
        for change in range(2):
            (tmp_path / "in" / "a").mkdir(parents=True, exist_ok=True)
            write_picture(tmp_path / "in" / "a" / f"{number}_{change}.jpg", seed=f"near{number}", change=30 * change)
    split(tmp_path / "in", tmp_path / "out", SplitRule(0.3, 0.3, near_duplicates=True))
    sides: dict[str, set[str]] = {}
    for name in tree(tmp_path / "out"):
        sides.setdefault(name.rsplit("/", 1)[1].split("_")[0], set()).add(name.split("/")[0])
    assert all(len(side) == 1 for side in sides.values())


def test_a_coco_file_becomes_one_file_a_split_and_keeps_all_fields(tmp_path):
    source = write_coco(tmp_path / "in")
    result = split(source, tmp_path / "out", SplitRule(0.2, 0.2))
    assert result.kind == "coco"
    assert result.images == {"train": 6, "val": 2, "test": 2}
    before = json.loads((source / "instances.json").read_text())
    parts = [json.loads((tmp_path / "out" / f"{name}.json").read_text()) for name in SPLITS]
    for key in ("images", "annotations"):
        assert sorted((one for part in parts for one in part[key]), key=lambda one: one["id"]) == before[key]
    for part in parts:
        assert part["categories"] == before["categories"]
        assert part["info"] == before["info"]
        ids = {image["id"] for image in part["images"]}
        assert {one["image_id"] for one in part["annotations"]} == ids
        assert all((tmp_path / "out" / "images" / image["file_name"]).is_file() for image in part["images"])


def test_a_coco_file_with_missing_images_is_refused_as_a_whole(tmp_path):
    source = write_coco(tmp_path / "in")
    for name in ("사진 1.jpg", "사진 2.jpg"):
        (source / "images" / name).unlink()
    with pytest.raises(DataError, match="2 faults") as refused:
        split(source / "instances.json", tmp_path / "out", SplitRule())
    assert "sync" in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_all_faults_of_a_coco_file_are_listed(tmp_path):
    source = write_coco(tmp_path / "in")
    document = json.loads((source / "instances.json").read_text())
    document["annotations"][3]["image_id"] = 99
    document["annotations"][4]["category_id"] = 3
    (source / "instances.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="2 faults") as refused:
        split(source, tmp_path / "out", SplitRule())
    assert "annotations[3]: image_id 99" in str(refused.value)
    assert "annotations[4]: category_id 3" in str(refused.value)


@pytest.mark.parametrize("names", ["[cat, dog]", "{0: cat, 1: dog}", "\n  0: cat\n  1: dog"])
def test_yolo_gets_folders_and_a_dataset_file(tmp_path, names):
    source = write_yolo(tmp_path / "in", names=names)
    result = split(source, tmp_path / "out", SplitRule(0.2, 0.2))
    assert result.kind == "yolo"
    assert sum(result.classes["dog"].values()) == 5
    document = yaml.safe_load((tmp_path / "out" / "dataset.yaml").read_text())
    assert document["names"] == ["cat", "dog"]
    assert document["kpt_shape"] == [4, 3]
    found = 0
    for name in SPLITS:
        images = sorted((tmp_path / "out" / document[name]).iterdir())
        found += len(images)
        for image in images:
            labels = tmp_path / "out" / "labels" / name / f"{image.stem}.txt"
            assert labels.is_file() == (image.stem != "00")
            assert not labels.is_file() or labels.read_text() == (source / "labels" / labels.name).read_text()
    assert found == 10


def test_a_split_yolo_dataset_can_be_split_again(tmp_path):
    split(write_yolo(tmp_path / "in"), tmp_path / "one", SplitRule(0.2, 0.2))
    result = split(tmp_path / "one", tmp_path / "two", SplitRule(0.5, 0))
    assert result.images == {"train": 5, "val": 5, "test": 0}
    document = yaml.safe_load((tmp_path / "two" / "dataset.yaml").read_text())
    assert "test" not in document


def test_unknown_classes_of_yolo_are_refused(tmp_path):
    source = write_yolo(tmp_path / "in")
    (source / "labels" / "03.txt").write_text("2 0.5 0.5 0.1 0.1\nx 0 0 0 0\n")
    with pytest.raises(DataError, match="2 faults") as refused:
        split(source, tmp_path / "out", SplitRule())
    assert "labels/03.txt: line 2" in str(refused.value)


def test_broken_images_are_refused_if_looks_count(tmp_path):
    source = write_class_folders(tmp_path / "in", {"a": 5})
    (source / "a" / "000.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a/000.jpg"):
        split(source, tmp_path / "out", SplitRule(near_duplicates=True))


@pytest.mark.parametrize("rule", [{"val": 0.9, "test": 0.1}, {"val": -0.1}, {"group_pattern": "("},
                                  {"group_pattern": "p"}])  # fmt: skip
def test_invalid_rules_are_refused(rule):
    with pytest.raises(DataError):
        SplitRule(**rule)


def test_too_few_groups_a_taken_output_and_labelme_are_refused(tmp_path):
    from tests.labelled_folder import names, write_images

    with pytest.raises(DataError, match="too few"):
        split(write_class_folders(tmp_path / "in", {"a": 2}), tmp_path / "out", SplitRule())
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DataError, match="already exists"):
        split(tmp_path / "in", tmp_path / "out", SplitRule())
    with pytest.raises(DataError, match="labelme"):
        split(write_images(tmp_path / "labelme", names(3)), tmp_path / "new", SplitRule())


def test_a_dry_run_writes_nothing(tmp_path):
    source = write_coco(tmp_path / "in")
    assert sum(split(source, tmp_path / "out", SplitRule(), dry_run=True).images.values()) == 10
    assert not (tmp_path / "out").exists()


def test_a_folder_with_a_coco_file_for_each_split_is_refused_by_their_names(tmp_path):
    source = write_coco(tmp_path / "in")
    for name in ("train", "val"):
        (source / f"{name}.json").write_bytes((source / "instances.json").read_bytes())
    with pytest.raises(DataError, match=r"3 COCO files \(instances.json, train.json, val.json\)"):
        split(source, tmp_path / "out", SplitRule(0.2, 0.1))
    assert not (tmp_path / "out").exists()
    assert split(source / "val.json", tmp_path / "out", SplitRule(0.2, 0.1)).kind == "coco"


def test_names_and_labels_of_a_coco_file_of_other_types_are_refused_together(tmp_path):
    source = write_coco(tmp_path / "in")
    document = json.loads((source / "instances.json").read_text())
    document["categories"][0]["name"] = 5
    document["images"][0]["labels"] = [[1]]
    document["images"][1]["labels"] = None
    (source / "instances.json").write_text(json.dumps(document))
    with pytest.raises(DataError) as caught:
        split(source, tmp_path / "out", SplitRule())
    assert "categories[0]" in str(caught.value)
    assert "images[0]" in str(caught.value)
    assert "images[1]" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["a_statistics.json", "z_statistics.json"])
def test_json_of_another_program_beside_the_coco_file_does_not_matter(tmp_path, name):
    source = write_coco(tmp_path / "in")
    (source / name).write_text('{"n": 1}')
    assert split(source, tmp_path / "out", SplitRule()).kind == "coco"


def test_unknown_classes_of_all_yolo_label_files_are_listed(tmp_path):
    source = write_yolo(tmp_path / "in")
    for name in ("03", "07"):
        (source / "labels" / f"{name}.txt").write_text("5 0.5 0.5 0.2 0.2\n")
    with pytest.raises(DataError) as caught:
        split(source, tmp_path / "out", SplitRule())
    assert "03.txt" in str(caught.value)
    assert "07.txt" in str(caught.value)


@pytest.mark.parametrize("names", ["[cat, cat]", "[cat, null]", "[cat, '']", "{0: cat, 1: cat}"])
def test_names_of_yolo_that_are_missing_or_given_twice_are_refused(tmp_path, names):
    with pytest.raises(DataError):
        split(write_yolo(tmp_path / "in", names=names), tmp_path / "out", SplitRule())
