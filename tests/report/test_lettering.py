"""Names of classes in every script: drawn with letters of their own, never with the empty box of a missing one."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sightline.report.drawing import lettering
from sightline.report.drawing.draw import draw_truth
from sightline.report.drawing.lettering import Lettering, printable

NAMES = {
    "Korean": "고양이",
    "Japanese": "日本語ナンバー",
    "Chinese": "车牌",
    "Cyrillic": "Кошка",
    "Greek": "Γάτα",
    "Thai": "แมว",
    "Arabic": "قطة",
    "Hebrew": "חתול",
    "Devanagari": "हिन्दी",
    "accents": "plaqué",
    "emoji": "🐈",
    "a family of joined emoji": "👨‍👩‍👧",
    "several": "고양이 cat 猫 🐈",
}


def drawn(text, size=32):
    """The pixels of a text, bool [height, width]."""
    letters = Lettering(size)
    canvas = Image.new("RGB", (round(letters.width(text)) + 8, 2 * size))
    letters.write(ImageDraw.Draw(canvas), 4, size, text, (255, 255, 255))
    return np.asarray(canvas)[:, :, 0] > 100


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_every_character_of_a_name_has_a_glyph(name):
    assert printable(name, "7") == name
    for run in lettering._runs(name):
        font = lettering._font(run.font, 32)
        for letter in run.text:
            if letter.strip() and not lettering._invisible(letter):
                assert ord(letter) in lettering._coverages()[run.font]
                assert bytes(font.getmask(letter)) != bytes(font.getmask("\U0010fffe"))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_is_drawn_inside_its_width(name):
    pixels = drawn(name)
    assert pixels.sum() > 30
    assert not pixels[[0, -1]].any()
    assert pixels[:, 4:-4].sum() >= 0.98 * pixels.sum()


def test_different_names_look_different():
    assert not np.array_equal(drawn("고양이"), drawn("강아지")[:, : drawn("고양이").shape[1]])


@pytest.mark.parametrize("name", ["\U00010000\U00010001", "고\U00010000", "", " ", "\x00"])
def test_a_name_that_no_font_has_is_drawn_as_its_id(name):
    assert printable(name, "7") == "7"


def test_without_the_fonts_the_id_is_drawn(monkeypatch):
    monkeypatch.setattr(lettering, "_coverages", lambda: (frozenset(),))
    assert printable("고양이", "7") == "7"
    assert printable("cat", "7") == "cat"


def test_a_name_of_several_lines_is_drawn_on_one():
    assert printable("front\r\nplate\t1", "7") == "front plate 1"


def test_hebrew_and_arabic_run_from_right_to_left():
    """Three narrow letters and a broad one: the last letter is at the left end."""
    assert [run.text for run in lettering._runs("חתול abc")] == ["abc", "חתול "]
    pixels = drawn("יייש")
    columns = np.flatnonzero(pixels.any(axis=0))
    left = pixels[:, columns[0] : columns[0] + (columns[-1] - columns[0]) // 2].sum()
    assert left > pixels.sum() / 2  # the broad letter is the last one


def test_without_shaping_right_to_left_text_is_turned_round(monkeypatch):
    shaped = drawn("חתול")
    monkeypatch.setattr(lettering, "_shapes", lambda: False)
    lettering._font.cache_clear()
    plain = drawn("חתול")
    lettering._font.cache_clear()
    assert (shaped[:, : plain.shape[1]] & plain[:, : shaped.shape[1]]).sum() > 0.8 * shaped.sum()


def test_a_long_name_is_cut_to_the_width():
    letters = Lettering(20)
    cut = letters.fitted("고양이 " * 40, 200)
    assert cut.endswith("...")
    assert letters.width(cut) <= 200
    assert letters.fitted("cat", 200) == "cat"
    assert letters.fitted("x" * 500, 1) == "x..."


def test_boxes_of_one_pixel_names_too_long_and_names_of_no_font_can_be_drawn():
    names = {1: "고양이" * 30, 2: "\U00010000", 3: "cat"}
    annotations = [
        {"bbox": [x, y, 1, 1], "category_id": index, "segmentation": []}
        for index, (x, y) in enumerate([(0, 0), (19, 11), (7, 5)], start=1)
    ]
    assert draw_truth(Image.new("RGB", (20, 12)), annotations, names).size == (40, 24)


def test_a_label_says_the_id_where_no_font_has_the_name():
    annotation = [{"bbox": [50, 50, 40, 40], "category_id": 2, "segmentation": []}]
    image = Image.new("RGB", (700, 300))
    unknown, known = (draw_truth(image, annotation, {2: name}) for name in ("\U00010000", "2"))
    assert unknown.tobytes() == known.tobytes()
