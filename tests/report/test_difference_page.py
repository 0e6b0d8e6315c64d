"""The page of differences: every changed image with its drawings, and only those objects that changed."""

import re

import numpy as np
from PIL import Image

from sightline.data.tools.compare import compare_images
from sightline.report.pages.difference_page import SHOWN_IMAGES, _drawn, write_difference_page
from tests.data.tools.test_compare import image, thing


def picture(tmp_path, name, gray=200):
    Image.new("RGB", (60, 40), (gray, gray, gray)).save(tmp_path / name)
    return tmp_path / name


def compared(path, *objects, **changes):
    return image(path.name, *objects, **changes).__class__(path.name, path, path.name, tuple(objects), **changes)


def page_of(tmp_path, before, after):
    write_difference_page(tmp_path / "page.html", "pets_ann_v1", "pets_ann_v2", compare_images(before, after))
    return (tmp_path / "page.html").read_text()


def test_every_kind_of_change_has_its_section(tmp_path):
    one, other, third = (picture(tmp_path, f"{name}.png") for name in "abc")
    text = page_of(
        tmp_path,
        [compared(one, thing()), compared(other), compared(third, split="train")],
        [compared(one, thing("<dog>"), thing("<dog>", x=9.0)), compared(third, split="val")],
    )
    assert re.findall(r'<section class="card" id="(\w+)"', text) == ["relabelled", "removed", "moved"]
    assert re.findall(r"</b> · (.*)</div>|</b> · (.*)</figcaption>", text) == [
        ("cat → &lt;dog&gt; · added: &lt;dog&gt;", ""), ("", "no objects"), ("", "train → val"),
    ]  # fmt: skip
    assert "train → val" in text
    assert len(re.findall("<img src=", text)) == 2 + 1 + 1
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)


def test_labels_of_images_and_removed_objects_are_named(tmp_path):
    one, other = (picture(tmp_path, f"{name}.png") for name in "ab")
    text = page_of(
        tmp_path,
        [compared(one, labels=("crack", "old")), compared(other, thing(), thing("<dog>", x=9.0))],
        [compared(one, labels=("old", "cut")), compared(other, thing())],
    )
    assert re.findall(r"</b> · (.*?)</div>", text) == [
        "label: crack → cut", "removed: &lt;dog&gt; · 1 object unchanged",
    ]  # fmt: skip


def test_equal_versions_say_so(tmp_path):
    one = compared(picture(tmp_path, "a.png"), thing())
    assert "the same images and annotations" in page_of(tmp_path, [one], [one])


def test_unreadable_images_leave_a_blank(tmp_path):
    (tmp_path / "a.png").write_bytes(b"broken")
    text = page_of(tmp_path, [], [compared(tmp_path / "a.png", thing())])
    assert "cannot be read" in text


def test_many_images_are_cut_off_with_their_number(tmp_path):
    path = picture(tmp_path, "a.png")
    many = [image(f"{number}").__class__(f"{number}", path, f"{number}", ()) for number in range(SHOWN_IMAGES + 7)]
    text = page_of(tmp_path, [], many)
    assert len(re.findall("<img src=", text)) == SHOWN_IMAGES
    assert f"The first {SHOWN_IMAGES} of {SHOWN_IMAGES + 7}" in text


def test_only_the_given_objects_are_drawn(tmp_path):
    one = compared(picture(tmp_path, "a.png"), thing(), thing(x=40.0))
    plain, drawn = (np.asarray(_drawn(one, objects, {"cat": 1})) for objects in ((), (thing(x=40.0),)))
    assert (plain == 200).all()
    changed = np.nonzero((drawn != plain).any(axis=2))[1]
    assert changed.min() > plain.shape[1] / 3
