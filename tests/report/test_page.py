import base64
import io
import re

import pytest
from PIL import Image

from sightline.errors import DataError
from sightline.report.page import count_text, duration_text, embedded_jpeg, metric_text, render, slug, write_page
from tests.golden import raises


def decoded(uri):
    assert uri.startswith("data:image/jpeg;base64,")
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "\N{EN DASH}"),
        (0.04, "0.0 s"),
        (9.949, "9.9 s"),
        (9.96, "10 s"),  # not "10.0 s"
        (59.6, "1 min 00 s"),  # not "60 s"
        (262.4, "4 min 22 s"),
        (3723, "1 h 02 min"),
    ],
)
def test_durations(seconds, text):
    assert duration_text(seconds) == text


def test_numbers():
    assert metric_text(0.91249) == "0.912"
    assert metric_text(float("nan")) == metric_text(None) == "\N{EN DASH}"
    assert count_text(1234567) == "1\u202f234\u202f567"


def test_ids_are_made_of_plain_characters_and_differ_where_texts_do():
    assert slug("train") == "train"
    names = ["a b", "a_b", "A b", "<a b>", "", "가"]
    assert len({slug(name) for name in names}) == len(names)
    assert all(re.fullmatch(r"[a-z0-9-]+", slug(name)) for name in names)


def test_images_are_made_smaller_but_never_larger(tmp_path):
    large = embedded_jpeg(Image.new("RGB", (2000, 1000)), 800)
    assert decoded(large.uri).size == (large.width, large.height) == (800, 400)
    Image.new("RGBA", (60, 40)).save(tmp_path / "x.png")
    assert decoded(embedded_jpeg(tmp_path / "x.png", 800).uri).size == (60, 40)


def test_a_damaged_image_is_named(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"no image")
    with raises(DataError, "x.jpg"):
        embedded_jpeg(tmp_path / "x.jpg")
    with raises(DataError):
        embedded_jpeg(tmp_path / "absent.jpg")


def test_only_the_pages_own_script_may_run():
    """The policy names the script's digest, and browsers compare it with what stands between the tags."""
    import hashlib

    page = render("run_index.html", runs=[], metrics=[], links={}, numbers={})
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:")


def test_a_page_that_cannot_be_made_leaves_the_old_one(tmp_path):
    path = tmp_path / "deep" / "index.html"
    write_page(path, "run_index.html", runs=[], metrics=[], links={}, numbers={})
    before = path.read_bytes()
    with pytest.raises(OSError) as caught:  # noqa: PT011
        write_page(path, "run_index.html", runs=Failing(), metrics=[], links={}, numbers={})
    assert str(caught.value) == "disk"
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_page_that_cannot_be_put_in_place_leaves_nothing(tmp_path):
    (tmp_path / "index.html").mkdir()
    with pytest.raises(IsADirectoryError):
        write_page(tmp_path / "index.html", "run_index.html", runs=[], metrics=[], links={}, numbers={})
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


class Failing(list):
    def __len__(self):
        raise OSError("disk")
