"""Whatever stands in a labelme file or an image, reading it gives images and faults, and nothing is raised."""

import json

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sightline.data.formats.labelme.folder import read_folder
from tests.data.formats.labelme_folders import encoded, picture, settings, write

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=8,
)
COORDINATES = st.floats() | st.integers(-(10**12), 10**12) | st.integers(-5, 70)
POINTS = st.lists(st.lists(COORDINATES, min_size=2, max_size=2), max_size=6)
KINDS = st.sampled_from(["polygon", "rectangle", "oriented_rectangle", "circle", "mask", "line", "point"])
SHAPE = st.fixed_dictionaries(
    {"label": st.just("car") | ANYTHING, "points": POINTS | ANYTHING, "shape_type": KINDS | ANYTHING},
    optional={"group_id": st.integers(0, 2) | ANYTHING, "mask": st.text() | ANYTHING, "flags": ANYTHING},
)
DOCUMENT = st.fixed_dictionaries(
    {"shapes": st.lists(SHAPE, max_size=5) | ANYTHING, "imagePath": st.just("a.jpg") | ANYTHING},
    optional=dict.fromkeys(("imageData", "imageWidth", "imageHeight", "flags", "group"), ANYTHING),
)
FUZZ = hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(content=st.binary(max_size=60) | DOCUMENT.map(lambda document: json.dumps(document).encode()))
def test_no_contents_raise(content, tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(picture()))
    (tmp_path / "a.json").write_bytes(content)
    annotations = read_folder(tmp_path, settings())
    assert annotations.images or annotations.faults
    for image in annotations.images:
        for instance in image.instances:
            x, y, width, height = instance.bbox
            assert 0 <= x < x + width <= 64
            assert 0 <= y < y + height <= 48
            assert 0 < instance.area <= width * height


@FUZZ
@given(content=st.binary(max_size=200), cut=st.integers(0, 900), flip=st.integers(0, 899))
def test_no_image_bytes_raise(content, cut, flip, tmp_path):
    intact = bytearray(encoded(picture()))
    intact[flip] ^= 0xFF
    write(tmp_path)
    (tmp_path / "a.jpg").write_bytes(bytes(intact[:cut]) + content)
    annotations = read_folder(tmp_path, settings())
    assert len(annotations.images) + len(annotations.faults) == 1
