"""Images made to harm: each is refused with the whole message, or read, and none takes memory that it did not earn."""

# ruff: noqa: E501  (a table: one row a fault, with its whole message)

import io
import struct
import subprocess
import sys
import zlib

import pytest
from PIL import Image

from sightline.data.images import UnreadableImageError, image_facts, open_mask, read_image

MAX_PIXELS = 50_000_000
REPLACE = "replace it with an intact copy"
TOO_LARGE = (
    "it is too large to decode: it declares more than 178,956,970 pixels, which no setting allows; make it smaller"
)
UNKNOWN = "it is not a readable JPEG, PNG, BMP, WEBP, TIFF or GIF image; convert or replace it"
ZEROS = zlib.compress(bytes(50_000_000))
GREY = zlib.compress(bytes(65 * 48))
PICTURE = Image.new("RGB", (64, 48), (200, 30, 30))


def encoded(image_format, image=PICTURE, **options):
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width=64, height=48, *chunks, pixels=GREY, depth=8):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg_of(width, height):
    data = encoded("JPEG")
    size = data.index(b"\xff\xc0") + 5
    return data[:size] + struct.pack(">HH", height, width) + data[size + 4 :]


def jpeg_of_many_scans():
    data = encoded("JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + 200 * data[last:-2] + data[-2:]


def gif(screen, frame):
    descriptor = b"," + struct.pack("<HHHHB", 0, 0, *frame, 0)
    return b"GIF89a" + struct.pack("<HHBBB", *screen, 0, 0, 0) + descriptor + b"\x02\x01\x00\x00;"


def tiff(*entries):
    tags = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + tags + bytes(4)


def grey_tiff(width, height, offset):
    return tiff((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, offset), (278, 4, 1, height), (279, 4, 1, 3072))  # fmt: skip


# The file, what is said after "the image: ".
REFUSED = {
    # Small files that would become large pictures.
    "13,000 x 13,000 in 50 kB": (png(13_000, 13_000, pixels=ZEROS), "it has 13000 x 13000 = 169,000,000 pixels, more than data.max_pixels = 50,000,000; make it smaller, or raise data.max_pixels"),
    "PNG of 2**31 - 1 squared": (png(2**31 - 1, 2**31 - 1), TOO_LARGE),
    "JPEG of 65,535 squared": (jpeg_of(65_535, 65_535), TOO_LARGE),
    "GIF screen of 60,000 squared": (gif((60_000, 60_000), (1, 1)), TOO_LARGE),
    "GIF frame larger than its screen": (gif((1, 1), (60_000, 60_000)), TOO_LARGE),
    "TIFF of 2**32 - 1 squared": (grey_tiff(2**32 - 1, 2**32 - 1, 8), TOO_LARGE),
    "BMP of 2**31 - 1 squared": (b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 24, 0, 0, 0, 0, 0, 0), TOO_LARGE),
    # Small texts that would become large ones.
    "zTXt of 50 MB": (png(64, 48, chunk(b"zTXt", b"c\0\0" + ZEROS)), f"it is damaged (Decompressed data too large for PngImagePlugin.MAX_TEXT_CHUNK); {REPLACE}"),
    "iTXt of 50 MB": (png(64, 48, chunk(b"iTXt", b"c\0\1\0\0\0" + ZEROS)), f"it is damaged (Decompressed data too large for PngImagePlugin.MAX_TEXT_CHUNK); {REPLACE}"),
    "colour profile of 50 MB": (png(64, 48, chunk(b"iCCP", b"c\0\0" + ZEROS)), f"it is damaged (Decompressed data too large for PngImagePlugin.MAX_TEXT_CHUNK); {REPLACE}"),
    # Little that takes long.
    "JPEG of hundreds of scans": (jpeg_of_many_scans(), "it has 209 scans, which take minutes to decode; a JPEG has about ten; save it again"),
    # Lies about the file.
    "PNG with too few pixels": (png(pixels=zlib.compress(bytes(10))), f"it is damaged (image file is truncated (0 bytes not processed)); {REPLACE}"),
    "PNG whose chunk is longer than the file": (png()[:8] + struct.pack(">I", 2**31 - 1) + png()[12:], f"it is damaged (Truncated File Read); {REPLACE}"),
    "PNG without width": (png(0, 48), UNKNOWN),
    "PNG of 16 bits": (png(4, 4, depth=16, pixels=zlib.compress(bytes(36))), "its pixels have more than 8 bits per channel (Pillow's mode I;16); convert it to 8 bits per channel"),
    "JPEG without its end": (encoded("JPEG")[:-300], f"it is damaged (Truncated File Read); {REPLACE}"),
    "JPEG, its first bytes": (b"\xff\xd8\xff\xe0", UNKNOWN),
    "WebP, its first bytes": (encoded("WEBP")[:60], f"it is damaged (could not create decoder object); {REPLACE}"),
    "TIFF whose pixels lie behind the file": (grey_tiff(64, 48, 2**31), f"it is damaged (image file is truncated (0 bytes not processed)); {REPLACE}"),
    "TIFF with 2**32 - 1 values in a tag": (tiff((256, 4, 1, 64), (257, 4, 1, 48), (258, 3, 2**32 - 1, 8), (273, 4, 2**31, 0)), UNKNOWN),
    "TIFF whose directory is its own next": (b"II*\0" + struct.pack("<IHI", 8, 0, 8), UNKNOWN),
    # Something else.
    "nothing": (b"", f"it is empty; {REPLACE}"),
    "EPS, which would start Ghostscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99999 99999\n", UNKNOWN),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UNKNOWN),
    "an error page": (b"<html>404</html>", UNKNOWN),
    "PSD": (b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 48, 64, 8, 3), UNKNOWN),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", "it is a Git LFS pointer, not the image; fetch it with git lfs pull"),
}  # fmt: skip

# Odd, but its pixels are what they are.
READ = {
    "PNG with 50 MB behind its last pixel": png(pixels=ZEROS),
    "EXIF with 2**32 - 1 values in a tag": encoded("JPEG", exif=b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 2**32 - 1, 0, 0)),
    "EXIF whose directory holds itself": encoded("JPEG", exif=b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 8, 8)),
    "colour profile of zeros": encoded("JPEG", icc_profile=bytes(60_000)),
    "GIF of 3,000 pictures": encoded("GIF", Image.new("P", (64, 48), 1), save_all=True, append_images=[Image.new("P", (64, 48), n % 7) for n in range(3000)]),
}  # fmt: skip

MEASURE = """
import re, sys
from pathlib import Path
from sightline.data.images import UnreadableImageError, image_facts, read_image

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

for path in sorted(Path(sys.argv[1]).iterdir()):
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak()
    for read in (read_image, image_facts):
        try:
            read(path.read_bytes(), 50_000_000)
        except UnreadableImageError:
            pass
    print(path.name, (peak() - before) // 1024)
"""


@pytest.mark.parametrize("case", REFUSED)
def test_an_image_made_to_harm_is_refused_with_the_reason(case):
    content, message = REFUSED[case]
    for read in (read_image, image_facts):
        with pytest.raises(UnreadableImageError) as caught:
            read(content, MAX_PIXELS)
        assert str(caught.value) == f"the image: {message}"


@pytest.mark.parametrize("case", READ)
def test_odd_metadata_do_not_cost_the_image(case):
    assert read_image(READ[case], MAX_PIXELS).size == (64, 48)
    facts = image_facts(READ[case], MAX_PIXELS)
    assert (facts.width, facts.height) == (64, 48)


def test_none_takes_more_memory_than_a_small_picture(tmp_path):
    for index, content in enumerate([content for content, _ in REFUSED.values()] + list(READ.values())):
        (tmp_path / f"{index:02}").write_bytes(content)
    output = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout
    taken = {name: int(megabytes) for name, megabytes in map(str.split, output.splitlines())}
    assert len(taken) == len(REFUSED) + len(READ)
    # A bomb that is decoded as far as its bytes go takes 51 MB.
    assert max(taken.values()) < 20, taken


# The file, what is said.
MASKS = {
    "a bomb": (png(13_000, 13_000, pixels=ZEROS), "the mask: it has 13000 x 13000 = 169,000,000 pixels, more than data.max_pixels = 50,000,000; make it smaller, or raise data.max_pixels"),
    "a JPEG": (encoded("JPEG"), "the mask: it is not a readable PNG image; convert or replace it"),
    "three channels": (encoded("PNG"), "the mask: its mode is RGB, not one channel; draw the shape again"),
}  # fmt: skip


@pytest.mark.parametrize("case", MASKS)
def test_masks_have_the_same_limits(case):
    content, message = MASKS[case]
    with pytest.raises(UnreadableImageError) as caught:
        open_mask(content, MAX_PIXELS)
    assert str(caught.value) == message
