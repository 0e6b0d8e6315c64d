"""Conversions: round trips keep every object, losses are counted, and too many are refused."""

import json

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sightline.cli.dataset.options import data_of
from sightline.data.formats.registry import read_annotations
from sightline.data.rasterizer import encode_mask, encode_outline, rasterize
from sightline.data.tools.convert import convert
from sightline.data.tools.writers.outlines import joined, polygons_of
from sightline.errors import DataError
from tests.data.tools.folders import tree, write_class_folders
from tests.labelled_folder import write_picture

DATA, _ = data_of(None, ())
SIZE = (80, 60)


def square(x, y, side):
    return [x, y, x + side, y, x + side, y + side, x, y + side]


def ring():
    mask = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    mask[10:30, 10:30] = 1
    mask[15:20, 15:20] = 0
    return encode_mask(mask)


def write_coco(root, *outlines, classes=("dog", "cat"), keypoints=None, images=2):
    """One image with the outlines and one without any."""
    (root / "images").mkdir(parents=True)
    document = {"images": [], "annotations": [], "categories": []}
    for number, name in enumerate(classes, start=1):
        category = {"id": number, "name": name}
        document["categories"].append(category | ({"keypoints": ["head", "tail"]} if keypoints else {}))
    for number in range(images):
        pixels = np.random.default_rng(number).integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
        document["images"].append({"id": number + 1, "file_name": f"{number}.png", "width": SIZE[0], "height": SIZE[1]})
    for number, outline in enumerate(outlines, start=1):
        annotation = {
            "id": number,
            "image_id": 1,
            "category_id": (number - 1) % len(classes) + 1,
            "segmentation": outline,
            "iscrowd": 0,
        }
        mask = rasterize(outline, SIZE[1], SIZE[0])
        ys, xs = np.nonzero(mask)
        box = [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]
        annotation |= {"bbox": [float(value) for value in box], "area": float(mask.sum())}
        if keypoints:
            annotation |= {"keypoints": keypoints, "num_keypoints": 2}
        document["annotations"].append(annotation)
    (root / "instances.json").write_text(json.dumps(document))
    return root


def read(folder, known=DATA, **changes):
    """Image name -> (class, pixels, box, keypoints) of each object."""
    data = known.model_copy(update=changes)
    annotations = read_annotations(folder, data, classes_known=bool(changes))
    assert not annotations.faults
    return {
        image.image.rsplit("/", 1)[-1]: [
            (
                one.label,
                encode_outline(one.segmentation, image.height, image.width)["counts"],
                tuple(round(value, 3) for value in one.bbox),
                one.keypoints,
            )
            for one in image.instances
        ]
        for image in annotations.images
    }


def convert_(source, out, to, **changes):
    return convert(source, out, to, DATA, classes_known=False, **changes)


POLYGONS = ([square(5, 5, 20)], [[40, 5, 70, 8, 60, 40, 45, 30.5]], [square(30.25, 40.5, 12)])


def test_coco_to_yolo_to_coco_keeps_every_object(tmp_path):
    source = write_coco(tmp_path / "a", *POLYGONS)
    there = convert_(source, tmp_path / "b", "yolo")
    back = convert_(tmp_path / "b", tmp_path / "c", "coco")
    assert there.losses == {} == back.losses
    assert there.classes == ("dog", "cat") == back.classes
    assert read(source) == read(tmp_path / "b") == read(tmp_path / "c")
    assert len(read(source)["0.png"]) == 3


def test_labelme_to_coco_to_labelme_keeps_every_object(tmp_path):
    parts = [square(5, 5, 10), square(30, 5, 10)]
    source = write_coco(tmp_path / "coco", *POLYGONS, ring(), parts)
    convert_(source, tmp_path / "a", "labelme")
    there = convert_(tmp_path / "a", tmp_path / "b", "coco")
    back = convert_(tmp_path / "b", tmp_path / "c", "labelme")
    assert there.losses == {} == back.losses
    assert read(source) == read(tmp_path / "a") == read(tmp_path / "b") == read(tmp_path / "c")
    # the files themselves are those of the first conversion
    one, other = (json.loads((tmp_path / name / "0.json").read_text()) for name in "ac")
    assert [shape["shape_type"] for shape in other["shapes"]] == [shape["shape_type"] for shape in one["shapes"]]
    assert len(other["shapes"]) == 6


def test_keypoints_survive_all_formats_with_their_visibility(tmp_path):
    source = write_coco(tmp_path / "a", [square(5, 5, 20)], [square(40, 10, 30)], keypoints=[10, 12.5, 1, 0, 0, 0])
    document = json.loads((source / "instances.json").read_text())
    document["annotations"][1]["keypoints"] = [50, 20, 2, 60, 30.25, 1]
    (source / "instances.json").write_text(json.dumps(document))
    results = [
        convert_(source, tmp_path / "b", "yolo"),
        convert_(tmp_path / "b", tmp_path / "c", "coco"),
    ]
    assert all(result.losses == {} for result in results)
    kept = DATA.keypoints.model_copy(update={"names": ("head", "tail")})
    wanted = [((10.0, 12.5, 1), (0.0, 0.0, 0)), ((50.0, 20.0, 2), (60.0, 30.25, 1))]
    for name in "abc":
        found = read(tmp_path / name, keypoints=kept, classes=("dog", "cat"))["0.png"]
        points = [[(round(x, 4), round(y, 4), v) for x, y, v in one[3]] for one in found]
        assert points == [list(one) for one in wanted]
    document = yaml.safe_load((tmp_path / "b" / "dataset.yaml").read_text())
    assert document["kpt_shape"] == [2, 3]
    data = DATA.model_copy(update={"keypoints": kept, "classes": ("dog", "cat")})
    convert(source, tmp_path / "d", "labelme", data, classes_known=True)
    assert read(tmp_path / "d", keypoints=kept, classes=("dog", "cat")) == read(
        source, keypoints=kept, classes=("dog", "cat")
    )


def test_yolo_cannot_hold_holes_and_parts_and_says_so(tmp_path):
    parts = [square(5, 35, 10), square(30, 35, 10)]
    source = write_coco(tmp_path / "a", ring(), parts)
    with pytest.raises(DataError, match="--max-loss 2"):
        convert_(source, tmp_path / "b", "yolo", max_loss=1)
    assert not (tmp_path / "b").exists()
    result = convert_(source, tmp_path / "b", "yolo", max_loss=2)
    assert result.losses == {"holes (filled)": 1, "several parts (joined to one polygon)": 1}
    (first, second) = read(tmp_path / "b")["0.png"]
    mask = rasterize({"size": [SIZE[1], SIZE[0]], "counts": first[1]}, SIZE[1], SIZE[0])
    assert mask[10:30, 10:30].all()
    assert mask.sum() == 400
    assert second[1] == encode_outline(parts, SIZE[1], SIZE[0])["counts"]


def test_poses_lose_outlines(tmp_path):
    source = write_coco(tmp_path / "a", [[5, 5, 40, 8, 30, 40]], keypoints=[20, 12, 2, 0, 0, 0])
    assert convert_(source, tmp_path / "b", "yolo", dry_run=True).losses == {"outlines (only their box is kept)": 1}
    assert not (tmp_path / "b").exists()


def test_boxes_become_the_five_values_of_detection(tmp_path):
    convert_(write_coco(tmp_path / "a", [square(20, 15, 20)]), tmp_path / "b", "yolo")
    assert (
        tmp_path / "b" / "labels" / "0.txt"
    ).read_text() == "0 0.3750000000 0.4166666667 0.2500000000 0.3333333333\n"
    assert (tmp_path / "b" / "labels" / "1.txt").read_text() == ""


def test_class_folders_hold_the_class_of_the_image_alone(tmp_path):
    source = write_coco(tmp_path / "a", [square(20, 15, 20)], images=3)
    result = convert_(source, tmp_path / "b", "folders", max_loss=99)
    assert result.losses == {
        "images without a class (left out)": 2,
        "objects (only the class of the image is kept)": 1,
    }
    assert list(tree(tmp_path / "b")) == ["dog/0.png"]


def test_class_folders_to_coco_and_back(tmp_path):
    source = write_class_folders(
        tmp_path / "a", {"train/crack": 3, "val/crack": 2, "train/균열 없음": 2, "val/균열 없음": 1}
    )
    there = convert_(source, tmp_path / "b", "coco")
    assert there.losses == {}
    assert {name for name in tree(tmp_path / "b") if name.endswith(".json")} == {"train.json", "val.json"}
    back = convert_(tmp_path / "b", tmp_path / "c", "folders")
    assert back.losses == {}
    assert tree(tmp_path / "c") == tree(source)


def test_splits_of_yolo_survive(tmp_path):
    source = write_coco(tmp_path / "a", [square(20, 15, 20)], images=4)
    convert_(source, tmp_path / "b", "yolo")
    from sightline.data.tools.assignment import SplitRule
    from sightline.data.tools.split import split

    split(tmp_path / "b", tmp_path / "c", SplitRule(0.25, 0.25))
    convert_(tmp_path / "c", tmp_path / "d", "coco")
    sizes = {path.stem: len(json.loads(path.read_text())["images"]) for path in sorted((tmp_path / "d").glob("*.json"))}
    assert sizes == {"test": 1, "train": 2, "val": 1}


def test_a_source_with_faults_is_refused_with_all_of_them(tmp_path):
    source = write_coco(tmp_path / "a", *POLYGONS)
    (source / "images" / "0.png").write_bytes(b"broken")
    (source / "images" / "1.png").unlink()
    with pytest.raises(DataError, match="2 faults"):
        convert_(source, tmp_path / "b", "yolo")
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        with pytest.raises(DataError):
            convert_(tmp_path / name, tmp_path / "b", "yolo")
    assert not (tmp_path / "b").exists()


def test_an_unknown_class_of_a_recipe_is_refused(tmp_path):
    source = write_coco(tmp_path / "a", *POLYGONS)
    with pytest.raises(DataError, match="cat"):
        convert(source, tmp_path / "b", "yolo", DATA.model_copy(update={"classes": ("dog",)}), classes_known=True)


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(2, 14), st.integers(2, 14), st.floats(0.1, 0.9))
def test_traced_masks_cover_the_same_pixels_and_fill_only_holes(seed, height, width, density):
    mask = np.random.default_rng(seed).random((height, width)) < density
    mask[0, 0] = True
    found = polygons_of(encode_mask(mask))
    for polygons in ([part.ravel().tolist() for part in found.parts], [joined(found.parts).ravel().tolist()]):
        covered = rasterize(polygons, height, width).astype(bool)
        assert covered[mask].all()
        assert found.holes or np.array_equal(covered, mask)


def named_coco(root, *names, classes=("dog", "cat")):
    """A COCO file with one object in every image; the classes take turns."""
    document = {"images": [], "annotations": [], "categories": [{"id": n, "name": c} for n, c in enumerate(classes)]}
    for number, name in enumerate(names):
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        write_picture(root / "images" / name, seed=name)
        document["images"].append({"id": number, "file_name": name})
        one = {"id": number, "image_id": number, "category_id": number % len(classes), "bbox": [number + 1, 2, 9, 8]}
        document["annotations"].append(one)
    (root / "annotations.json").write_text(json.dumps(document), encoding="utf-8")
    return root


@pytest.mark.parametrize("to", ["yolo", "labelme", "coco"])
def test_images_that_differ_in_their_extension_alone_keep_their_own_objects(tmp_path, to):
    source = named_coco(tmp_path / "in", "a.png", "a.jpg", "b.png")
    convert(source, tmp_path / "out", to, DATA, classes_known=False)
    before, after = (read_annotations(path, DATA, classes_known=False) for path in (source, tmp_path / "out"))
    assert not after.faults
    objects = [
        sorted((image.sha256, one.label, *map(round, one.bbox)) for image in found.images for one in image.instances)
        for found in (before, after)
    ]
    assert len(objects[0]) == 3
    assert objects[0] == objects[1]


def test_no_image_replaces_another_in_a_class_folder(tmp_path):
    source = named_coco(tmp_path / "in", "x/y.png", "x_y.png", "dog/z.png", "z.png", classes=("dog",))
    result = convert(source, tmp_path / "out", "folders", DATA, classes_known=False, max_loss=9)
    written = tree(tmp_path / "out")
    assert result.images == len(written) == 4
    assert set(written.values()) == set(tree(source / "images").values())


@pytest.mark.parametrize("name", ["..", ".", ".hidden", "c:", "a\\b", "x" * 300])
def test_a_class_that_cannot_be_a_folder_is_refused(tmp_path, name):
    source = named_coco(tmp_path / "in", "a.png", "b.png", classes=(name, "cat"))
    with pytest.raises(DataError, match="folder"):
        convert(source, tmp_path / "out", "folders", DATA, classes_known=False, max_loss=9)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_misspelt_class_folder_is_refused_without_a_recipe(tmp_path):
    counts = {f"{split}/{name}": 2 for split in ("train", "val", "test") for name in ("crack", "good")}
    counts["val/crak"] = counts.pop("val/crack")
    source = write_class_folders(tmp_path / "in", counts)
    with pytest.raises(DataError, match="crak"):
        convert(source, tmp_path / "out", "coco", DATA, classes_known=False)
    assert not (tmp_path / "out").exists()


def test_files_that_cannot_be_part_of_a_version_are_refused(tmp_path):
    source = write_class_folders(tmp_path / "in", {"crack": 2, "good": 2})
    (source / "good" / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    with pytest.raises(DataError, match=r"link\.jpg"):
        convert(source, tmp_path / "out", "coco", DATA, classes_known=False)
    assert not (tmp_path / "out").exists()


def test_an_object_without_a_box_does_not_turn_the_others_into_labels(tmp_path):
    source = named_coco(tmp_path / "in", "a.png", "b.png")
    document = json.loads((source / "annotations.json").read_text())
    document["annotations"].append({"id": 2, "image_id": 1, "category_id": 1, "bbox": None})
    (source / "annotations.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="annotation 2"):
        convert(source, tmp_path / "out", "yolo", DATA, classes_known=False)


def test_objects_are_not_lost_beside_labels_of_images(tmp_path):
    source = named_coco(tmp_path / "in", "a.png", "b.png")
    document = json.loads((source / "annotations.json").read_text())
    document["images"][0]["labels"] = [1]
    (source / "annotations.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"data\.label_sets"):
        convert(source, tmp_path / "out", "yolo", DATA, classes_known=False)
    convert(source, tmp_path / "out", "yolo", data_of(None, ["data.classes=[dog, cat]"])[0], classes_known=True)
    assert (tmp_path / "out" / "labels" / "b.txt").read_text()
