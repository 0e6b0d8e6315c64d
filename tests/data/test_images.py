"""Decoding images: formats, limits, orientation, damage, hashes."""

import hashlib
import pickle

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from sightline.data.images import (
    UnreadableImageError,
    image_facts,
    open_mask,
    perceptual_hash,
    read_bytes,
    read_image,
)
from sightline.errors import DataError
from tests.data.formats.labelme_folders import encoded, picture
from tests.golden import raises

LIMIT = 1_000_000
ORIENTATION = 0x0112


def oriented(orientation, size=(40, 24)):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(picture(3, size), "PNG", exif=exif)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF"])
def test_every_format_is_read_as_rgb(image_format, tmp_path):
    content = encoded(picture(), image_format)
    (tmp_path / "a").write_bytes(content)
    image = read_image(tmp_path / "a", LIMIT)
    facts = image_facts(content, LIMIT)
    assert (image.mode, image.size) == ("RGB", (64, 48))
    assert (facts.width, facts.height, facts.size_bytes) == (64, 48, len(content))
    assert facts.sha256 == hashlib.sha256(content).hexdigest()
    assert Image.registered_extensions()[facts.extension] == image_format


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_mode_of_eight_bits_becomes_rgb(mode):
    image = picture().convert(mode)
    if mode == "P":
        image.info["transparency"] = bytes(range(200))
    content = encoded(image, "TIFF" if mode == "CMYK" else "PNG")
    assert read_image(content, LIMIT).mode == "RGB"
    assert image_facts(content, LIMIT).width == 64


# What a person sees, given pixels stored as the EXIF standard describes each orientation.
SEEN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    stored = np.asarray(picture(3, (40, 24)))
    expected = SEEN[orientation](stored)
    content = oriented(orientation)
    facts = image_facts(content, LIMIT)
    np.testing.assert_array_equal(np.asarray(read_image(content, LIMIT)), expected)
    assert (facts.width, facts.height) == (expected.shape[1], expected.shape[0])
    upright = image_facts(encoded(Image.fromarray(np.ascontiguousarray(expected)), "PNG"), LIMIT)
    assert (facts.perceptual_hash ^ upright.perceptual_hash).bit_count() <= 2


@pytest.mark.parametrize("orientation", [6, 8])
def test_a_tiff_is_turned_once(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = encoded(picture(3, (40, 24)), "TIFF", exif=exif)
    assert read_image(content, LIMIT).size == (24, 40)
    facts = image_facts(content, LIMIT)
    assert (facts.width, facts.height) == (24, 40)


def test_an_unknown_orientation_leaves_the_pixels_alone():
    assert read_image(oriented(9), LIMIT).size == (40, 24)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("cut", [-1, -2, -50, -400, 300, 20])
@pytest.mark.parametrize("read", [read_image, image_facts])
def test_a_truncated_jpeg_is_noticed(options, cut, read):
    content = encoded(picture(size=(256, 192)), quality=90, **options)
    read(content, LIMIT)
    with raises(UnreadableImageError):
        read(content[:cut], LIMIT)


def test_a_truncated_png_is_noticed():
    content = encoded(picture(), "PNG")
    with raises(UnreadableImageError):
        image_facts(content[: len(content) // 2], LIMIT)


def test_what_is_not_an_image_is_refused():
    for content in (b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"P6 1 1 255 abc"):
        with pytest.raises(UnreadableImageError) as caught:
            read_image(content, LIMIT)
        assert str(caught.value) == (
            "the image: it is not a readable JPEG, PNG, BMP, WEBP, TIFF or GIF image; convert or replace it"
        )


def test_pixels_of_sixteen_bits_are_refused():
    content = encoded(Image.fromarray(np.zeros((4, 4), np.uint16)), "PNG")
    with raises(UnreadableImageError):
        read_image(content, LIMIT)


def test_the_pixel_limit_holds_before_decoding():
    bomb = encoded(Image.new("1", (20_000, 20_000)), "PNG")
    with raises(UnreadableImageError):
        image_facts(bomb, 50_000_000)
    large = encoded(Image.new("1", (10_000, 10_000)), "PNG")
    with pytest.raises(UnreadableImageError) as caught:
        read_image(large, 50_000_000)
    assert str(caught.value) == (
        "the image: it has 10000 x 10000 = 100,000,000 pixels, more than data.max_pixels = 50,000,000; "
        "make it smaller, or raise data.max_pixels"
    )
    assert read_image(encoded(picture(size=(10, 10))), 100).size == (10, 10)


def test_a_file_that_no_image_needs_is_not_read(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(bytes(801))
    with raises(UnreadableImageError, "801", "data.max_pixels", "100"):
        read_image(path, 100)
    path.write_bytes(bytes(800))
    assert len(read_bytes(path, 100)) == 800


def test_a_missing_file_is_a_data_error_with_its_name(tmp_path):
    with raises(DataError) as caught:
        read_image(tmp_path / "a.jpg", LIMIT)
    assert str(caught.value).startswith(str(tmp_path / "a.jpg"))


def test_the_error_comes_back_whole_from_another_process():
    error = pickle.loads(pickle.dumps(UnreadableImageError("a.jpg", "it is broken", "replace it")))
    assert (error.name, error.reason, error.remedy, str(error)) == (
        "a.jpg", "it is broken", "replace it", "a.jpg: it is broken; replace it",
    )  # fmt: skip


def test_a_mask_has_one_channel():
    pixels = np.zeros((3, 4), np.uint8)
    pixels[1, 2] = 255
    np.testing.assert_array_equal(open_mask(encoded(Image.fromarray(pixels), "PNG"), LIMIT), pixels > 0)
    with raises(UnreadableImageError, "RGB"):
        open_mask(encoded(picture(), "PNG"), LIMIT)
    with raises(UnreadableImageError, "PNG"):
        open_mask(encoded(picture(), "JPEG"), LIMIT)


def hash_of(image, image_format="JPEG", **options):
    return image_facts(encoded(image, image_format, **options), LIMIT).perceptual_hash


@pytest.mark.parametrize("seed", range(5))
def test_near_duplicates_stay_near(seed):
    image = picture(seed, (320, 240))
    original = hash_of(image, quality=95)
    for other in (
        hash_of(image, quality=50),
        hash_of(image, "PNG"),
        hash_of(image.resize((160, 120))),
        hash_of(ImageEnhance.Brightness(image).enhance(0.9)),
        hash_of(ImageEnhance.Contrast(image).enhance(0.9)),
    ):
        assert (original ^ other).bit_count() <= 8


def test_distinct_images_are_far():
    hashes = [hash_of(picture(seed, (320, 240))) for seed in range(60)]
    assert min((a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]) > 8


def test_the_hash_of_a_plain_image_is_zero():
    assert perceptual_hash(np.full((32, 32), 200, np.uint8)) == 0


def test_the_hash_is_one_number_for_ever():
    # Splits of published versions rest on it: rows and columns of a ramp and a wave.
    rows, columns = np.mgrid[0:32, 0:32]
    grey = (columns * 4 + 60 * (np.sin(rows / 3) + 1)).astype(np.uint8)
    assert f"{perceptual_hash(grey):016x}" == "0000000000000000"
