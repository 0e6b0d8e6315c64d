"""The pixels of ``imageData`` are those that labelme showed, whatever EXIF says and whatever file lies beside."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from sightline.data.formats.labelme.embedded import without_orientation
from sightline.data.formats.labelme.folder import read_folder
from sightline.data.formats.reading import stopping_faults
from sightline.data.images import exif_orientation, image_facts, read_image
from tests.data.formats.labelme_folders import encoded, picture, settings, shape, write

WIDTH, HEIGHT = 160, 120
RED = [[12, 10], [70, 12], [64, 50]]
ORIENTATIONS = range(1, 9)
LIMIT = 10**7


def labelled():
    """White, with the triangle ``RED`` near its upper left corner and a green bar that no turn brings to itself."""
    pixels = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    ys, xs = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    inside = np.ones(ys.shape, bool)
    for (x1, y1), (x2, y2) in zip(RED, [*RED[1:], RED[0]], strict=True):
        inside &= (x2 - x1) * (ys - y1) - (y2 - y1) * (xs - x1) >= -30
    pixels[inside] = (255, 0, 0)
    pixels[100:108, 20:50] = (0, 150, 0)
    return Image.fromarray(pixels)


def tagged(image, orientation, image_format="JPEG", **options):
    """An image file with an EXIF orientation; the pixels are stored as they are."""
    if orientation == 1:
        return encoded(image, image_format, **options)
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a camera"
    return encoded(image, image_format, exif=exif, **options)


def as_taken(image, orientation, **options):
    """A file that a viewer, which applies its EXIF orientation, shows as ``image``."""
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions, undone
    stored = image if orientation == 1 else image.transpose(Image.Transpose(back[orientation]))
    return tagged(stored, orientation, **options)


def share_of_red(image):
    """How much of the labelled triangle, less its rim, is red."""
    pixels = np.asarray(image.convert("RGB")).astype(int)
    red = (pixels[..., 0] > 180) & (pixels[..., 1] < 90) & (pixels[..., 2] < 90)
    ys, xs = np.mgrid[: image.height, : image.width] + 0.5
    inside = np.ones(ys.shape, bool)
    for (x1, y1), (x2, y2) in zip(RED, [*RED[1:], RED[0]], strict=True):
        inside &= (x2 - x1) * (ys - y1) - (y2 - y1) * (xs - x1) > 200
    return red[inside].mean()


def read(folder, embedded=None, beside=None, size=(WIDTH, HEIGHT), **fields):
    """The one labelled image of a folder, its pixels as everything downstream reads them, and the faults."""
    data = None if embedded is None else base64.b64encode(embedded).decode()
    write(folder, "a.json", shape("car", points=RED), image=False, imageData=data,
          **{"imageWidth": size[0], "imageHeight": size[1], **fields})  # fmt: skip
    if beside is not None:
        (folder / "a.jpg").write_bytes(beside)
    annotations = read_folder(folder, settings())
    assert stopping_faults(annotations, settings().faults) == []
    (image,) = annotations.images
    content = image.embedded if image.embedded is not None else (folder / image.image).read_bytes()
    pixels = read_image(content, LIMIT)
    assert pixels.size == (image.width, image.height)
    facts = image_facts(content, LIMIT)
    assert (facts.sha256, facts.perceptual_hash) == (image.sha256, image.perceptual_hash)
    return image, pixels, [(fault.kind, fault.reason) for fault in annotations.faults]


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_an_embedded_image_is_taken_without_its_orientation(orientation, image_format, tmp_path):
    image, pixels, faults = read(tmp_path, tagged(labelled(), orientation, image_format))
    assert image.embedded is not None
    assert share_of_red(pixels) == 1.0
    assert faults == []


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_an_image_file_is_taken_with_its_orientation(orientation, tmp_path):
    image, pixels, faults = read(tmp_path, beside=as_taken(labelled(), orientation))
    assert image.image == "a.jpg"
    assert share_of_red(pixels) == 1.0
    assert faults == []


@pytest.mark.parametrize("quality", [75, 95])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_what_labelme_turned_and_embedded_is_the_file(orientation, quality, tmp_path):
    embedded = encoded(labelled(), "JPEG", quality=quality)
    image, pixels, faults = read(tmp_path, embedded, as_taken(labelled(), orientation, quality=95))
    assert (image.image, image.embedded, faults) == ("a.jpg", None, [])
    assert share_of_red(pixels) == 1.0


@pytest.mark.parametrize("encode", [
    lambda bytes_, _: bytes_,
    lambda _, stored: encoded(stored, "JPEG"),
    lambda _, stored: encoded(stored, "PNG"),
], ids=["the file's bytes", "JPEG", "PNG"])  # fmt: skip
@pytest.mark.parametrize("orientation", range(2, 9))
def test_what_labelme_embedded_unturned_wins_over_the_file(orientation, encode, tmp_path):
    beside = tagged(labelled(), orientation)
    image, pixels, faults = read(tmp_path, encode(beside, labelled()), beside)
    assert image.embedded is not None
    assert share_of_red(pixels) == 1.0
    assert faults == [("embedded_differs", f"imageData shows image a.jpg without its EXIF orientation ({orientation})")]


def test_a_small_object_is_enough_to_see_that_a_file_was_turned(tmp_path):
    big = Image.new("RGB", (1600, 1200), (200, 200, 200))
    big.paste((90, 90, 90), (100, 80, 140, 120))
    embedded, beside = encoded(big), encoded(big.transpose(Image.Transpose.ROTATE_180), quality=95)
    image, pixels, faults = read(tmp_path, embedded, beside, big.size)
    assert image.embedded == embedded
    assert max(pixels.getpixel((120, 100))) < 110
    assert faults == [("embedded_differs", "imageData shows image a.jpg turned by 180 degrees")]


def other_size(image):
    return image.resize((80, 60))


# How the file beside differs from the embedded image; the reason that is given.
OTHERS = {
    "another picture": (
        lambda _: encoded(picture(7, (WIDTH, HEIGHT))), "imageData shows a different picture than a.jpg",
    ),
    "another size": (
        lambda image: encoded(other_size(image)), "imageData has 160 x 120 pixels, but image a.jpg has 80 x 60",
    ),
    "mirrored": (
        lambda image: encoded(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)), "imageData shows image a.jpg mirrored",
    ),
    "turned": (
        lambda image: encoded(image.transpose(Image.Transpose.ROTATE_90)),
        "imageData shows image a.jpg turned by 90 degrees",
    ),
    "broken": (lambda _: b"no image", "image a.jpg cannot be used: it is not a readable "),
    "a painted corner": (lambda image: encoded(painted(image)), "imageData shows a different picture than a.jpg"),
}  # fmt: skip


def painted(image):
    image = image.copy()
    image.paste((0, 0, 0), (130, 90, 150, 110))
    return image


@pytest.mark.parametrize("case", OTHERS)
def test_the_embedded_image_wins_over_a_file_of_another_picture(case, tmp_path):
    beside, reason = OTHERS[case]
    embedded = encoded(labelled())
    image, pixels, ((kind, said),) = read(tmp_path, embedded, beside(labelled()))
    assert (image.image, image.embedded, kind) == ("images/a.jpg", embedded, "embedded_differs")
    assert said.startswith(reason)
    assert share_of_red(pixels) == 1.0


@pytest.mark.parametrize(("policy", "images", "stopping"), [("error", 0, 1), ("drop", 0, 0), ("embedded", 1, 0)])
def test_the_policy_says_what_becomes_of_an_image_that_differs(policy, images, stopping, tmp_path):
    read(tmp_path, encoded(labelled()), encoded(picture(7, (WIDTH, HEIGHT))))
    data = settings(faults={"embedded_differs": policy})
    annotations = read_folder(tmp_path, data)
    assert len(annotations.images) == images
    assert len(stopping_faults(annotations, data.faults)) == stopping
    assert annotations.left_out == ({"car": {"embedded_differs": 1}} if policy == "drop" else {})
    assert annotations.dropped == ({} if policy == "error" else {"embedded_differs": 1})


@pytest.mark.parametrize("image_path", [
    "../raw/a.jpg", "..\\raw\\a.jpg", "/data/raw/a.jpg", "C:\\Users\\me\\a.jpg", "\\\\host\\share\\a.jpg", "a\0.jpg",
    "", "a.json", "gone.jpg", "../outside.jpg", "link.jpg",
])  # fmt: skip
def test_an_embedded_image_is_used_wherever_the_path_leads(image_path, tmp_path):
    outside, root = tmp_path / "outside.jpg", tmp_path / "root"
    outside.write_bytes(encoded(picture(3, (WIDTH, HEIGHT))))
    root.mkdir()
    (root / "link.jpg").symlink_to(outside)
    embedded = encoded(labelled())
    image, pixels, faults = read(root, embedded, imagePath=image_path)
    assert (image.image, image.embedded, faults) == ("images/a.jpg", embedded, [])
    assert share_of_red(pixels) == 1.0


def test_a_damaged_embedded_image_is_a_fault_even_beside_a_file(tmp_path):
    write(tmp_path, imageData=base64.b64encode(b"hello").decode())
    (fault,) = read_folder(tmp_path, settings()).faults
    assert (fault.kind, fault.reason[:35]) == ("broken_image", "imageData: it is not a readable JPE")


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_the_orientation_is_cut_out_without_encoding_again(orientation, image_format):
    noisy = picture(1, (50, 40))
    content = tagged(noisy, orientation, image_format, icc_profile=b"a profile")
    bare = without_orientation(content, orientation, LIMIT)
    assert exif_orientation(bare, LIMIT) == 1
    with Image.open(io.BytesIO(bare)) as opened, Image.open(io.BytesIO(content)) as before:
        assert opened.format == image_format
        assert opened.info["icc_profile"] == b"a profile"
        np.testing.assert_array_equal(np.asarray(opened), np.asarray(before))
    assert len(content) - 200 < len(bare) < len(content)


def test_an_orientation_in_xmp_is_taken_out_too():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>'
    content = encoded(picture(1, (50, 40)), "JPEG", xmp=xmp)
    assert exif_orientation(content, LIMIT) == 6
    bare = without_orientation(content, 6, LIMIT)
    assert read_image(bare, LIMIT).size == (50, 40)
