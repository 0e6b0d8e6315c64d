"""Malformed labelme files: one row a fault, with the exact message."""

# ruff: noqa: E501  (a table: one row a fault, with its whole message)

import base64
import json
import os

import numpy as np
import pytest
from PIL import Image

from sightline.data.formats.labelme.folder import read_folder
from tests.data.formats.labelme_folders import SQUARE, document, encoded, picture, settings, shape, write

AGAIN = "open it in labelme and save it again, or restore it from an older version"
REDRAW = "draw the shape again or delete it"
DRAW_A_POLYGON = "draw a polygon, or let record leave it out (data.faults.unknown_shape=drop)"
KNOWN = "polygon, rectangle, oriented_rectangle, rotation, quadrilateral, circle, mask, line, linestrip, point, points"


def faults_of(root, **fields):
    return [(fault.kind, str(fault)) for fault in read_folder(root, settings(**fields)).faults]


def text(**fields):
    return json.dumps(document(**fields)).encode()


# Contents of a.json, what is said after "a.json: ".
FILES = {
    "empty": (b"", f"it is empty; {AGAIN}"),
    "blank": (b" \n", f"it is empty; {AGAIN}"),
    "half a file": (b'{"shapes": [', f"not valid JSON: Expecting value (line 1, column 13); {AGAIN}"),
    "trailing text": (b"{} x", f"not valid JSON: Extra data (line 1, column 4); {AGAIN}"),
    "a list": (b"[1, 2]", f"expected an object with 'shapes' and 'imagePath', got a list of 2 items; {AGAIN}"),
    "a number": (b"12", f"expected an object with 'shapes' and 'imagePath', got the number 12; {AGAIN}"),
    "null": (b"null", f"expected an object with 'shapes' and 'imagePath', got null; {AGAIN}"),
    "UTF-16 with mark": ("{}".encode("utf-16"), "not UTF-8 (byte 0xff at 0); save the file as UTF-8"),
    "UTF-16 without mark": ("{}".encode("utf-16-le"), "not UTF-8 (byte 0x7b at 0); save the file as UTF-8"),
    "cp949": ('{"label": "차"}'.encode("cp949"), "not UTF-8 (byte 0xc2 at 11); save the file as UTF-8"),
    "a key twice": (b'{"shapes": [], "shapes": []}', f"duplicate key 'shapes'; {AGAIN}"),
    "a key twice inside": (b'{"shapes": [{"label": "a", "label": "b"}]}', f"duplicate key 'label'; {AGAIN}"),
    "100,000 brackets": (b"[" * 100_000, f"brackets are nested too deeply; {AGAIN}"),
    "5,000 digits": (b'{"imageWidth": ' + b"9" * 5000 + b"}", f"it contains an integer with thousands of digits; {AGAIN}"),
    "half a character": (text(imagePath="\ud800.jpg"), f"a string contains a lone surrogate (U+D800); {AGAIN}"),
    "NaN": (text(imageWidth=float("nan")), f"imageWidth is nan, which is not JSON; {AGAIN}"),
    "Infinity": (text(other=[1, {"x": float("inf")}]), f"other[1].x is inf, which is not JSON; {AGAIN}"),
    "1e999": (text(other=0).replace(b'"other": 0', b'"other": 1e999'), f"other is inf, which is not JSON; {AGAIN}"),
    "COCO": (b'{"images": []}', "no 'shapes', so this is not a labelme file; move it out of the folder"),
    "shapes null": (text().replace(b'"shapes": []', b'"shapes": null'), f"'shapes' must be a list, got null; {AGAIN}"),
    "shapes object": (text().replace(b'"shapes": []', b'"shapes": {}'), f"'shapes' must be a list, got an object; {AGAIN}"),
    "no imagePath": (text().replace(b"imagePath", b"imagepath"), f"'imagePath' must be a string, got null; {AGAIN}"),
    "imagePath number": (text(imagePath=7), f"'imagePath' must be a string, got the number 7; {AGAIN}"),
    "imageData list": (text(imageData=[1]), f"'imageData' must be a string or null, got a list of 1 item; {AGAIN}"),
    "imageData no base64": (text(imageData="a*b="), f"'imageData' is not base64 (Only base64 data is allowed); {AGAIN}"),
    "imageData padding": (text(imageData="abcde"), f"'imageData' is not base64 (Invalid base64-encoded string: number of data characters (5) cannot be 1 more than a multiple of 4); {AGAIN}"),
    "imageData empty": (text(imageData=""), f"'imageData' is empty; {AGAIN}"),
    "width text": (text(imageWidth="64"), f"'imageWidth' must be a positive whole number or null, got the string '64'; {AGAIN}"),
    "width true": (text(imageWidth=True), f"'imageWidth' must be a positive whole number or null, got true; {AGAIN}"),
    "height zero": (text(imageHeight=0), f"'imageHeight' must be a positive whole number or null, got the number 0; {AGAIN}"),
    "height half": (text(imageHeight=47.5), f"'imageHeight' must be a positive whole number or null, got the number 47.5; {AGAIN}"),
    "height huge": (text(imageHeight=10**400), f"'imageHeight' must be a positive whole number or null, got a huge number; {AGAIN}"),
    "flags list": (text(flags=["day"]), f"'flags' must be an object, got a list of 1 item; {AGAIN}"),
    "flag text": (text(flags={"day": "yes"}), f"flag 'day' must be true or false, got the string 'yes'; {AGAIN}"),
    "group false": (text(group=False), f"'group' must be a string or a whole number, got false; {AGAIN}"),
    "long text": (text(imageWidth="9" * 100), f"'imageWidth' must be a positive whole number or null, got the string '{'9' * 37}...'; {AGAIN}"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_broken_file_is_one_fault(case, tmp_path):
    content, message = FILES[case]
    write(tmp_path, "b.json")
    (tmp_path / "a.json").write_bytes(content)
    assert faults_of(tmp_path) == [("broken_json", f"a.json: {message}")]
    assert [image.file for image in read_folder(tmp_path, settings()).images] == ["b.json"]


# A shape, the kind of its fault, what is said after "a.json: shape 1".
SHAPES = {
    "text": ("car", "broken_json", f": a shape must be an object, got the string 'car'; {AGAIN}"),
    "null": (None, "broken_json", f": a shape must be an object, got null; {AGAIN}"),
    "no label": (shape(label=None), "broken_json", f": 'label' must be a string, got null; {AGAIN}"),
    "number label": (shape(label=3), "broken_json", f": 'label' must be a string, got the number 3; {AGAIN}"),
    "blank label": (shape(label=" "), "broken_json", ": 'label' is empty; give the shape a label, or delete it"),
    "invisible label": (shape(label="\u200b \ufeff"), "broken_json", ": 'label' is empty; give the shape a label, or delete it"),
    "kind number": (shape(shape_type=1), "broken_json", f" ('car'): 'shape_type' must be a string, got the number 1; {AGAIN}"),
    "group text": (shape(group_id="1"), "broken_json", f" ('car'): 'group_id' must be a whole number or null, got the string '1'; {AGAIN}"),
    "group true": (shape(group_id=True), "broken_json", f" ('car'): 'group_id' must be a whole number or null, got true; {AGAIN}"),
    "mask number": (shape(mask=0), "broken_json", f" ('car'): 'mask' must be a string, got the number 0; {AGAIN}"),
    "flags text": (shape(flags="x"), "broken_json", f" ('car'): 'flags' must be an object, got the string 'x'; {AGAIN}"),
    "points null": (shape(points=None), "broken_json", f" ('car'): 'points' must be a list, got null; {AGAIN}"),
    "triples": (shape(points=[[1, 2, 3]]), "broken_json", f" ('car'): 'points' must contain pairs [x, y], but point 0 is a list of 3 items; {AGAIN}"),
    "flat list": (shape(points=[1, 2]), "broken_json", f" ('car'): 'points' must contain pairs [x, y], but point 0 is the number 1; {AGAIN}"),
    "text coordinate": (shape(points=[[1, 2], [3, "4"]]), "broken_json", f" ('car'): 'points' must contain numbers, but point 1 contains the string '4'; {AGAIN}"),
    "true coordinate": (shape(points=[[1, True]]), "broken_json", f" ('car'): 'points' must contain numbers, but point 0 contains true; {AGAIN}"),
    "null coordinate": (shape(points=[[None, 1]]), "broken_json", f" ('car'): 'points' must contain numbers, but point 0 contains null; {AGAIN}"),
    "NaN": (shape(points=[[float("nan"), 1], *SQUARE]), "not_finite", f" ('car'): a coordinate is nan, which is not a position in an image; {REDRAW}"),
    "infinity": (shape(points=[[1, -float("inf")], *SQUARE]), "not_finite", f" ('car'): a coordinate is -inf, which is not a position in an image; {REDRAW}"),
    "400 digits": (shape(points=[[10**400, 1], *SQUARE]), "not_finite", f" ('car'): a coordinate is inf, which is not a position in an image; {REDRAW}"),
    "far away": (shape(points=[[1e300, 1], *SQUARE]), "not_finite", f" ('car'): a coordinate is 1e+300, which is not a position in an image; {REDRAW}"),
    "unknown": (shape("lorry"), "unknown_label", " ('lorry'): the label is not in data.classes; rename it, or add it to data.classes, data.ignored_labels or data.aliases"),
    "misspelt": (shape("cars"), "unknown_label", " ('cars'): the label is not in data.classes (did you mean 'car'?); rename it, or add it to data.classes, data.ignored_labels or data.aliases"),
    "blank at the end": (shape("car "), "unknown_label", " ('car '): the label differs from class 'car' by leading or trailing spaces; rename it to 'car', or map it with data.aliases"),
    "letter case": (shape("CAR"), "unknown_label", " ('CAR'): the label differs from class 'car' by letter case or the number of spaces; rename it to 'car', or map it with data.aliases"),
    "invisible character": (shape("ca\u200br"), "unknown_label", " ('ca\\u200br'): the label differs from class 'car' by an invisible character (U+200B); rename it to 'car', or map it with data.aliases"),
    "line": (shape(shape_type="line", points=SQUARE[:2]), "unsupported_shape", " ('car'): shape type 'line' covers no area; draw a polygon, or let record leave it out (data.faults.unsupported_shape=drop)"),
    "linestrip": (shape(shape_type="linestrip"), "unsupported_shape", " ('car'): shape type 'linestrip' covers no area; draw a polygon, or let record leave it out (data.faults.unsupported_shape=drop)"),
    "point": (shape(shape_type="point", points=[[1, 1]]), "unsupported_shape", " ('car'): shape type 'point' covers no area; draw a polygon, or let record leave it out (data.faults.unsupported_shape=drop)"),
    "points": (shape(shape_type="points"), "unsupported_shape", " ('car'): shape type 'points' covers no area; draw a polygon, or let record leave it out (data.faults.unsupported_shape=drop)"),
    "unheard of": (shape(shape_type="spray"), "unknown_shape", f" ('car'): shape type 'spray' is not known (expected one of {KNOWN}); {DRAW_A_POLYGON}"),
    "three dimensions": (shape(shape_type="cuboid", points=SQUARE * 2), "unknown_shape", f" ('car'): shape type 'cuboid' is not known (expected one of {KNOWN}); {DRAW_A_POLYGON}"),
    "clicks of a model": (shape(shape_type="ai_polygon"), "unknown_shape", f" ('car'): shape type 'ai_polygon' is not known (did you mean 'polygon'?); {DRAW_A_POLYGON}"),
    "another spelling": (shape(shape_type="Rectangle", points=SQUARE[:2]), "unknown_shape", f" ('car'): shape type 'Rectangle' is not known (did you mean 'rectangle'?); {DRAW_A_POLYGON}"),
    "no name": (shape(shape_type=""), "unknown_shape", f" ('car'): shape type '' is not known (expected one of {KNOWN}); {DRAW_A_POLYGON}"),
    "no points": (shape(points=[]), "zero_area", f" ('car'): a polygon needs at least 3 points, found 0; {REDRAW}"),
    "two points": (shape(points=SQUARE[:2]), "zero_area", f" ('car'): a polygon needs at least 3 points, found 2; {REDRAW}"),
    "rectangle of one": (shape(shape_type="rectangle", points=SQUARE[:1]), "zero_area", f" ('car'): shape type rectangle needs 2 or 4 points, found 1; {REDRAW}"),
    "rotation of three": (shape(shape_type="rotation", points=SQUARE[:3]), "broken_json", f" ('car'): shape type rotation needs 4 points, found 3; {REDRAW}"),
    "quadrilateral of five": (shape(shape_type="quadrilateral", points=[*SQUARE, [9, 9]]), "broken_json", f" ('car'): shape type quadrilateral needs 4 points, found 5; {REDRAW}"),
    "rectangle of three": (shape(shape_type="rectangle", points=SQUARE[:3]), "broken_json", f" ('car'): shape type rectangle needs 2 or 4 points, found 3; {REDRAW}"),
    "circle of one": (shape(shape_type="circle", points=SQUARE[:1]), "zero_area", f" ('car'): shape type circle needs 2 points, found 1; {REDRAW}"),
    "one line": (shape(points=[[1, 1], [5, 5], [9, 9]]), "zero_area", f" ('car'): its points are on one line, so it covers no area; {REDRAW}"),
    "one place": (shape(points=[[1, 1]] * 3), "zero_area", f" ('car'): its points are on one line, so it covers no area; {REDRAW}"),
    "thin rectangle": (shape(shape_type="rectangle", points=[[3, 1], [3, 9]]), "zero_area", f" ('car'): its points are on one line, so it covers no area; {REDRAW}"),
    "no radius": (shape(shape_type="circle", points=[[3, 1], [3, 1]]), "zero_area", f" ('car'): its points are on one line, so it covers no area; {REDRAW}"),
    "twice": (shape(points=[[1, 1], [5, 1], [5, 5]]), "duplicate_shape", " ('car'): it is the same as shape 0; delete one of the two"),
    "negative": (shape(points=[[-1.5, 10], [30, 10], [30, 30]]), "outside_image", " ('car'): it extends from (-1.5, 10) to (30, 30), outside the image of 64 x 48 pixels; move it into the image, or let record clip it (data.faults.outside_image=clip)"),
    "below": (shape(points=[[1, 10], [30, 48.5], [30, 30]]), "outside_image", " ('car'): it extends from (1, 10) to (30, 48.5), outside the image of 64 x 48 pixels; move it into the image, or let record clip it (data.faults.outside_image=clip)"),
    "circle": (shape(shape_type="circle", points=[[5, 20], [5, 30]]), "outside_image", " ('car'): it extends from (-5, 10) to (15, 30), outside the image of 64 x 48 pixels; move it into the image, or let record clip it (data.faults.outside_image=clip)"),
    "mask without mask": (shape(shape_type="mask", points=[[1, 1], [2, 2]]), "broken_json", f" ('car'): shape type mask needs a 'mask', got null; {REDRAW}"),
    "mask no base64": (shape(shape_type="mask", points=[[1, 1], [2, 2]], mask="?"), "broken_json", f" ('car'): 'mask' is not base64 (Only base64 data is allowed); {REDRAW}"),
    "mask no PNG": (shape(shape_type="mask", points=[[1, 1], [2, 2]], mask="aGVsbG8="), "broken_json", f" ('car'): the PNG in 'mask' cannot be used: it is not a readable PNG image; {REDRAW}"),
    "mask of another size": (shape(shape_type="mask", points=[[1, 1], [3, 4]], mask=base64.b64encode(encoded(Image.new("L", (3, 3), 1), "PNG")).decode()), "broken_json", f" ('car'): the mask has 3 x 3 pixels, but its box 3 x 4; {REDRAW}"),
    "empty mask": (shape(shape_type="mask", points=[[1, 1], [3, 3]], mask=base64.b64encode(encoded(Image.new("L", (3, 3), 0), "PNG")).decode()), "zero_area", f" ('car'): it covers no pixels of the image; {REDRAW}"),
}  # fmt: skip
FIRST = shape(points=[[1, 1], [5, 1], [5, 5]])


@pytest.mark.parametrize("case", SHAPES)
def test_a_faulty_shape_is_one_fault_and_leaves_the_others_alone(case, tmp_path):
    entry, kind, message = SHAPES[case]
    write(tmp_path, "a.json", FIRST, entry, shape("bus"))
    annotations = read_folder(
        tmp_path, settings(faults=dict.fromkeys(("broken_json", "not_finite", "unknown_shape"), "drop"))
    )
    assert [(fault.kind, str(fault)) for fault in annotations.faults] == [(kind, f"a.json: shape 1{message}")]
    mended = ["car"] if kind == "outside_image" else []
    assert [instance.label for instance in annotations.images[0].instances] == ["car", *mended, "bus"]
    assert annotations.dropped == ({} if kind == "unknown_label" else {kind: 1})


def test_what_lies_outside_is_clipped_and_then_covers_nothing(tmp_path):
    write(tmp_path, "a.json", shape(points=[[-30, -30], [-10, -30], [-10, -10]]))
    kinds = [kind for kind, _ in faults_of(tmp_path)]
    assert kinds == ["outside_image", "zero_area"]
    assert read_folder(tmp_path, settings()).dropped == {"zero_area": 1}


def test_all_faults_of_one_shape_are_said_at_once(tmp_path):
    write(tmp_path, "a.json", shape("lorry", points=[[-1, 1], [float("nan"), 2], [3, 3]]))
    assert [kind for kind, _ in faults_of(tmp_path)] == ["unknown_label", "not_finite"]


INSIDE = "put the image next to the JSON file and set imagePath to its name"

LINK = "it is a link: replace it with the image itself"

# imagePath, what is said after "sub/a.json: imagePath ", and the remedy.
UNSAFE = {
    "../../a.jpg": ("'../../a.jpg' leads outside the folder", "give the folder that contains both, {above}"),
    "..\\..\\a.jpg": (r"'..\\..\\a.jpg' leads outside the folder", "give the folder that contains both, {above}"),
    "../../gone.jpg": ("'../../gone.jpg' leads outside the folder", INSIDE),
    "../" * 40 + "etc/passwd": (f"'{'../' * 39}...' leads outside the folder", INSIDE),
    "/etc/passwd": ("'/etc/passwd' is absolute", INSIDE),
    "\\a.jpg": (r"'\\a.jpg' is absolute", INSIDE),
    "C:\\images\\a.jpg": (r"'C:\\images\\a.jpg' is absolute", INSIDE),
    "C:\\images\\here.jpg": (
        r"'C:\\images\\here.jpg' is absolute",
        "set imagePath to 'here.jpg', which is next to the JSON file",
    ),
    "../../raw/here.jpg": (
        "'../../raw/here.jpg' leads outside the folder",
        "set imagePath to 'here.jpg', which is next to the JSON file",
    ),
    "c:a.jpg": ("'c:a.jpg' is absolute", INSIDE),
    "\\\\host\\share\\a.jpg": (r"'\\\\host\\share\\a.jpg' is absolute", INSIDE),
    "a.jpg\0.png": (r"'a.jpg\x00.png' contains a NUL character", "open the file in labelme and save it again"),
    "link.jpg": ("'link.jpg' leads outside the folder", LINK),
    "folder/a.jpg": ("'folder/a.jpg' leads outside the folder", LINK),
}


@pytest.mark.parametrize("image_path", UNSAFE)
def test_an_image_outside_the_folder_is_refused(image_path, tmp_path):
    root = tmp_path / "root"
    write(root, "sub/a.json", image=False, imagePath=image_path)
    (tmp_path / "a.jpg").write_bytes(encoded(picture()))
    (root / "sub" / "link.jpg").symlink_to(tmp_path / "a.jpg")
    (root / "sub" / "folder").symlink_to(tmp_path)
    (root / "sub" / "here.jpg").write_bytes(encoded(picture()))
    reason, remedy = UNSAFE[image_path]
    assert faults_of(root) == [
        ("unsafe_path", f"sub/a.json: imagePath {reason}; {remedy.format(above=os.path.realpath(tmp_path))}")
    ]


def test_a_json_link_that_leads_outside_is_not_followed(tmp_path):
    write(tmp_path, "b.json")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.json").symlink_to(tmp_path / "b.json")
    assert faults_of(tmp_path / "root") == [
        ("unsafe_path", "a.json: the file is a link that leads outside the folder; replace it with the file itself")
    ]


# What becomes of a.jpg, the kind of the fault, what is said after "a.json: ".
IMAGES = {
    "missing": (None, "missing_image", "image a.jpg does not exist; add the image, or correct imagePath"),
    "text": (b"hello", "broken_image", "image a.jpg: it is not a readable JPEG, PNG, BMP, WEBP, TIFF or GIF image; convert or replace it"),
    "empty": (b"", "broken_image", "image a.jpg: it is empty; replace it with an intact copy"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "broken_image", "image a.jpg: it is a Git LFS pointer, not the image; fetch it with git lfs pull"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "broken_image", "image a.jpg: it is not a readable JPEG, PNG, BMP, WEBP, TIFF or GIF image; convert or replace it"),
    "huge": (encoded(Image.new("1", (9000, 9000)), "PNG"), "broken_image", "image a.jpg: it has 9000 x 9000 = 81,000,000 pixels, more than data.max_pixels = 50,000,000; make it smaller, or raise data.max_pixels"),
    "16 bits": (encoded(Image.fromarray(np.zeros((48, 64), np.uint16)), "PNG"), "broken_image", "image a.jpg: its pixels have more than 8 bits per channel (Pillow's mode I;16); convert it to 8 bits per channel"),
    "other size": (encoded(picture(size=(60, 40))), "wrong_image_size", "imageWidth x imageHeight is 64 x 48, but the image has 60 x 40 pixels; check in labelme that the shapes fit the image, and save it again"),
    "turned": (encoded(picture(size=(48, 64))), "wrong_image_size", "imageWidth x imageHeight is 64 x 48, but the image has 48 x 64 pixels, its sides swapped: labeled with another EXIF orientation; check in labelme that the shapes fit the image, and save it again"),
}  # fmt: skip


@pytest.mark.parametrize("case", IMAGES)
def test_an_unusable_image_is_one_fault_and_its_shapes_are_checked_all_the_same(case, tmp_path):
    content, kind, message = IMAGES[case]
    write(tmp_path, "a.json", shape("lorry"), image=False)
    if content is not None:
        (tmp_path / "a.jpg").write_bytes(content)
    annotations = read_folder(tmp_path, settings(faults={kind: "drop"}))
    assert [(fault.kind, fault.shape) for fault in annotations.faults] == [(kind, None), ("unknown_label", 0)]
    assert str(annotations.faults[0]) == f"a.json: {message}"
    assert (annotations.images, annotations.dropped) == ([], {kind: 1})


def test_shapes_are_checked_where_neither_image_nor_size_is_known(tmp_path):
    write(tmp_path, "a.json", shape("lorry", points=[[-9, 1], [5, 5], [9, 1]]), image=False, imageWidth=None)
    assert [kind for kind, _ in faults_of(tmp_path)] == ["missing_image", "unknown_label"]


def test_a_loop_of_links_is_a_missing_image(tmp_path):
    write(tmp_path, image=False, imagePath="gone/a.jpg")
    (tmp_path / "gone").symlink_to(tmp_path / "gone")
    assert [kind for kind, _ in faults_of(tmp_path)] == ["missing_image"]


def test_a_truncated_image_is_a_fault(tmp_path):
    write(tmp_path)
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2])
    ((kind, message),) = faults_of(tmp_path)
    assert kind == "broken_image"
    assert message.startswith("a.json: image a.jpg: it is damaged (image file is truncated")


def test_a_missing_image_names_the_one_that_is_there(tmp_path):
    write(tmp_path, imagePath="A.JPEG")
    assert faults_of(tmp_path) == [
        ("missing_image", "a.json: image A.JPEG does not exist (did you mean 'a.jpg'?); add the image, or correct imagePath")
    ]  # fmt: skip


@pytest.mark.parametrize("image_path", ["", ".", "a.json", "sub"])
def test_a_path_that_names_no_image(image_path, tmp_path):
    write(tmp_path, image=False, imagePath=image_path)
    (tmp_path / "sub").mkdir()
    assert faults_of(tmp_path) == [
        (
            "missing_image",
            f"a.json: imagePath {image_path!r} is not the name of an image, and there is no imageData; set imagePath to the image's name",
        )
    ]  # fmt: skip


def test_a_name_too_long_for_the_disk_is_a_missing_image(tmp_path):
    write(tmp_path, image=False, imagePath="a" * 5000 + ".jpg")
    assert [kind for kind, _ in faults_of(tmp_path)] == ["missing_image"]


def test_two_files_for_one_image_are_both_faults(tmp_path):
    write(tmp_path, "a.json")
    write(tmp_path, "sub/b.json", image=False, imagePath="../a.jpg")
    remedy = "keep one JSON file for each image"
    assert faults_of(tmp_path) == [
        ("duplicate_image", f"a.json: image a.jpg is also named by sub/b.json; {remedy}"),
        ("duplicate_image", f"sub/b.json: image a.jpg is also named by a.json; {remedy}"),
    ]
    annotations = read_folder(tmp_path, settings(faults={"duplicate_image": "drop"}))
    assert (annotations.images, annotations.dropped) == ([], {"duplicate_image": 2})


def test_two_images_whose_names_differ_in_letter_case_are_faults(tmp_path):
    write(tmp_path, "a.json")
    write(tmp_path, "b.json", image=False, imagePath="A.JPG")
    (tmp_path / "A.JPG").write_bytes(encoded(picture(1)))
    if (tmp_path / "a.jpg").samefile(tmp_path / "A.JPG"):
        pytest.skip("this file system does not tell letter case apart")
    assert faults_of(tmp_path)[0] == (
        "duplicate_image",
        "a.json: image a.jpg and A.JPG of b.json differ only in letter case or Unicode form; "
        "rename one of the images, so that the dataset can be checked out on every system",
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_a_fault(tmp_path):
    write(tmp_path).chmod(0)
    assert faults_of(tmp_path) == [
        ("broken_json", "a.json: the file cannot be read (Permission denied); check what it is, or remove it from the folder")
    ]  # fmt: skip


def test_what_is_no_regular_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    os.mkfifo(tmp_path / "b.jpg")
    write(tmp_path, "b.json", image=False)
    assert [kind for kind, _ in faults_of(tmp_path)] == ["broken_json", "missing_image"]


def test_a_file_name_that_is_not_utf8_is_a_fault(tmp_path):
    write(tmp_path, "b.json")
    try:
        (tmp_path / os.fsdecode(b"\xff.json")).write_text("{}")
    except OSError:
        pytest.skip("this file system knows UTF-8 names only")
    assert faults_of(tmp_path) == [("unsafe_path", r"\udcff.json: the file's name is not UTF-8; rename the file")]


def test_a_json_file_beyond_the_limit_is_not_read(tmp_path):
    with (tmp_path / "a.json").open("wb") as stream:
        stream.truncate(256 * 1024**2 + 1)
    ((kind, message),) = faults_of(tmp_path)
    assert (kind, message) == (
        "broken_json",
        "a.json: it has 268,435,457 bytes, more than 268,435,456; check what it is, or remove it from the folder",
    )
