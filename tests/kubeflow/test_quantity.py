"""Amounts in every form that Kubernetes takes."""

from fractions import Fraction

import pytest

from sightline.kubeflow.quantity import parse_quantity, shown
from tests.golden import raises


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        (2, 2),
        (0.5, Fraction(1, 2)),
        ("500m", Fraction(1, 2)),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("+3", 3),
        ("-1", -1),
        ("100u", Fraction(1, 10_000)),
        ("1n", Fraction(1, 10**9)),
        ("1k", 1000),
        ("2G", 2 * 10**9),
        ("1E", 10**18),
        ("1e3", 1000),
        ("1E3", 1000),  # an exponent, not exa
        ("12e-1", Fraction(6, 5)),
        ("1Ki", 1024),
        ("16Gi", 16 * 2**30),
        ("1.5Gi", 3 * 2**29),
        ("2Ei", 2 * 2**60),
        ("128974848", 128974848),
        ("128974848000m", 128974848),
    ],
)
def test_every_form(text, value):
    assert parse_quantity(text) == value


@pytest.mark.parametrize(
    "text", ["", "Gi", "1K", "16GB", "16gi", "1 Gi", " 1", "1e", "1.2.3", "0x10", "\u0661", "1e9999", True, None]
)
def test_what_kubernetes_does_not_take_either(text):
    with raises(ValueError, repr(text)):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("resource", "amount", "said"),
    [
        ("cpu", "3920m", "3.92 cpu"),
        ("cpu", "4", "4 cpu"),
        ("memory", "16Gi", "16Gi memory"),
        ("memory", "16384256Ki", "15.62Gi memory"),
        ("memory", "500Mi", "500Mi memory"),
        ("memory", "16", "16 bytes of memory"),
        ("nvidia.com/gpu", "100", "100 nvidia.com/gpu"),
    ],
)
def test_how_an_amount_is_shown(resource, amount, said):
    assert shown(resource, parse_quantity(amount)) == said
