"""Numbers that Python reads as infinity are found wherever JSON may write them; digits in texts are none."""

import math
import random

import pytest

from sightline import strict_json

TOO_LARGE = [
    b"1e999", b"\xef\xbb\xbf1e999", b"[-1.5E+400,1]", b'{"a":1e309}', b'{"a": [1,\n\t-12.25e0999]}', b"1" * 400 + b".5",
    b"[" + b"9" * 250 + b"e99]", b"0." + b"0" * 150 + b"1e500", b'{"3e456": 2e456}',
]  # fmt: skip

TEXTS = [
    b'{"sha256": "3e456"}', b'["a/93e4567-12e999.jpg", 1e30]', b'["1e999"]', b"[1e-999, 1e30]", b'{"1e999": 1.25}',
]  # fmt: skip


@pytest.mark.parametrize("content", TOO_LARGE)
def test_a_number_that_is_too_large_is_refused(content: bytes) -> None:
    with pytest.raises(strict_json.JsonError, match="too large"):
        strict_json.decode(content)


@pytest.mark.parametrize("content", TEXTS)
def test_digits_in_texts_are_no_numbers(content: bytes) -> None:
    strict_json.decode(content)
    assert not strict_json.may_overflow(content)


def test_no_infinite_number_is_missed() -> None:
    draw = random.Random(1)
    for _ in range(3000):
        digits = "".join(draw.choices("0123456789", k=draw.choice([1, 3, 40, 199, 200, 201, 310])))
        fraction = draw.choice(["", ".5", "." + digits])
        exponent = draw.choice(["", "e", "E+", "e-"])
        number = f"{draw.choice(['', '-'])}{digits.lstrip('0') or '0'}{fraction}"
        number += f"{exponent}{draw.randint(0, 400)}" if exponent else ""
        before = draw.choice(["", " ", "[", "[\n", '{"a":', "[0, ", "[0,"])
        if not math.isfinite(float(number)):
            assert strict_json.may_overflow((before + number).encode()), number
