"""Splits: fractions, classes, groups, stability from version to version, leaks."""

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.config.data import Splits
from sightline.data.recording.fingerprint import near_pairs, tie_images
from sightline.data.recording.split import EarlierImage, SplitImage, assign_splits, check_leaks
from sightline.errors import DataError
from tests.golden import raises

DISTANCE = 4


def image(number: int, *, group: str = "", look: int | None = None, classes=("a",)) -> SplitImage:
    source = random.Random(number)
    sha256 = f"{source.getrandbits(256):064x}"
    perceptual_hash = source.getrandbits(64) if look is None else look
    return SplitImage(sha256, perceptual_hash, group or sha256, frozenset(classes))


def images(count: int, start: int = 0, classes_an_image: int = 2) -> list[SplitImage]:
    source = random.Random(start)
    return [
        image(number, classes=source.sample("abcdefgh", classes_an_image)) for number in range(start, start + count)
    ]


def earlier(of, splits) -> list[EarlierImage]:
    return [EarlierImage(entry, split) for entry, split in zip(of, splits, strict=True) if split]


@pytest.mark.parametrize("count", [3, 4, 7, 20, 61, 400])
def test_fractions_are_honoured_within_one_image(count):
    counts = Counter(assign_splits(images(count), [], Splits(), DISTANCE).splits)
    for split, fraction in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
        assert counts[split] >= 1
        assert abs(counts[split] - fraction * count) <= 1.5


def test_a_val_fraction_of_30_percent_gives_30_percent():
    splits = assign_splits(images(100), [], Splits(train=0.7, val=0.3, test=0.0), DISTANCE).splits
    assert Counter(splits) == {"train": 70, "val": 30}


def test_every_class_is_in_train_and_val():
    of = images(60)
    splits = assign_splits(of, [], Splits(), DISTANCE).splits
    for wanted in ("train", "val"):
        shown = frozenset().union(*(entry.classes for entry, split in zip(of, splits, strict=True) if split == wanted))
        assert shown == set("abcdefgh")


@pytest.mark.parametrize("bare", [0, 5])
def test_every_split_shows_an_object_even_if_each_class_is_in_one_image_only(bare):
    of = [image(number, classes=[f"class {number}"]) for number in range(10)]
    of += [image(number, classes=[]) for number in range(10, 10 + bare)]
    splits = assign_splits(of, [], Splits(), DISTANCE).splits
    assert {split for entry, split in zip(of, splits, strict=True) if entry.classes} == {"train", "val", "test"}


def test_a_lone_image_that_shows_an_object_is_for_training():
    of = [image(0), *(image(number, classes=[]) for number in range(1, 8))]
    splits = assign_splits(of, [], Splits(), DISTANCE).splits
    assert splits[0] == "train"


def test_neither_order_nor_names_matter():
    of = images(50)
    shuffled = random.Random(1).sample(of, len(of))
    splits = {entry.sha256: split for entry, split in zip(of, assign_splits(of, [], Splits(), 4).splits, strict=True)}
    again = assign_splits(shuffled, [], Splits(), 4).splits
    assert [splits[entry.sha256] for entry in shuffled] == again


def test_groups_and_near_duplicates_stay_together():
    of = [image(n, group=f"car{n // 5}") for n in range(60)] + [
        image(100 + n, look=0xFF00FF << n % 3) for n in range(9)
    ]
    splits = assign_splits(of, [], Splits(), 12).splits
    for group in {entry.group for entry in of[:60]}:
        assert len({split for entry, split in zip(of, splits, strict=True) if entry.group == group}) == 1
    assert len(set(splits[60:])) == 1
    check_leaks(of, splits, 12)


def test_images_keep_their_split_when_others_join():
    first = images(40)
    before = assign_splits(first, [], Splits(), DISTANCE).splits
    second = first[10:] + images(60, start=1000)
    after = assign_splits(second, earlier(first, before), Splits(), DISTANCE).splits
    assert after[:30] == before[10:]
    counts = Counter(after)
    assert abs(counts["val"] - 0.15 * 90) <= 1


def test_a_group_follows_its_earlier_images_even_when_those_are_gone():
    first = [image(n, group=f"car{n}") for n in range(20)]
    before = assign_splits(first, [], Splits(), DISTANCE).splits
    tested = before.index("test")
    joining = [image(500 + n, group=first[tested].group) for n in range(8)]
    second = [entry for index, entry in enumerate(first) if index != tested] + joining
    after = assign_splits(second, earlier(first, before), Splits(), DISTANCE).splits
    assert set(after[-8:]) == {"test"}


def test_a_new_image_that_would_bridge_two_splits_is_left_out(caplog):
    look = random.Random(9).getrandbits(64)
    first = [image(1, look=look), image(2, look=look ^ 0b1111_1111), *images(10, start=50)]
    known = [EarlierImage(first[0], "train"), EarlierImage(first[1], "test")]
    bridge = image(3, look=look ^ 0b1111)
    beside_train, beside_test = image(4, look=look ^ (1 << 60)), image(5, look=look ^ 0b1111_1111 ^ (1 << 50))
    of = [*first, bridge, beside_train, beside_test]
    splits = assign_splits(of, known, Splits(), DISTANCE).splits
    assert splits[:2] == ["train", "test"]
    assert splits[-3:] == [None, "train", "test"]
    assert "1 images are left out" in caplog.text


def test_earlier_images_that_contradict_each_other_leave_train():
    look = random.Random(9).getrandbits(64)
    of = [image(1, look=look), image(2, look=look ^ 1), *images(10, start=50)]
    known = [EarlierImage(of[0], "train"), EarlierImage(of[1], "val")]
    assert assign_splits(of, known, Splits(), DISTANCE).splits[:2] == [None, "val"]


def test_equal_files_under_two_names_stay_together():
    of = [*images(12), *images(12)]
    splits = assign_splits(of, [], Splits(), 0).splits
    assert splits[:12] == splits[12:]


def test_too_few_groups_say_what_to_do():
    with raises(DataError):
        assign_splits(images(2), [], Splits(), DISTANCE)
    with raises(DataError):
        assign_splits([image(n, look=7) for n in range(9)], [], Splits(), DISTANCE)


def test_images_of_a_fixed_camera_are_split_where_near_duplicates_are_off():
    look = random.Random(3).getrandbits(64)
    of = [replace(image(n, look=look ^ (n % 3)), name=f"photos/{n}.png") for n in range(30)]
    with pytest.raises(DataError) as caught:
        assign_splits(of, [], Splits(), 8)
    for part in (
        "30 of 30 images look alike",
        "photos/0.png",
        "near_duplicate_distance = 8",
        "data.near_duplicates=off",
    ):
        assert part in str(caught.value)
    splits = assign_splits(of, [], Splits(), None).splits
    assert Counter(splits) == {"train": 21, "val": 5, "test": 4} or Counter(splits) == {
        "train": 21,
        "val": 4,
        "test": 5,
    }
    check_leaks(of, splits, None)
    with raises(DataError):
        check_leaks(of, splits, 0)


def test_equal_files_and_groups_stay_together_where_near_duplicates_are_off():
    of = [image(n, look=7) for n in range(20)]
    of += of[:8] + [image(100 + n, look=7, group="car") for n in range(6)]
    splits = assign_splits(of, [], Splits(), None).splits
    assert splits[20:28] == splits[:8]
    assert len(set(splits[28:])) == 1


def test_images_keep_their_splits_where_near_duplicates_are_switched_off_later():
    first = [image(n, look=n % 4 << 40) for n in range(40)]
    before = assign_splits(first, [], Splits(), 0).splits
    joining = [image(100 + n, look=0) for n in range(40)]
    after = assign_splits([*first, *joining], earlier(first, before), Splits(), None).splits
    assert after[:40] == before
    assert None not in after
    counts = Counter(after)
    assert abs(counts["test"] - 0.15 * 80) <= max(1, Counter(before)["test"] - 0.15 * 80)


def test_a_dataset_that_is_mostly_one_group_is_named_with_examples():
    of = [replace(image(n, look=1 << n % 2), name=f"{n}.png") for n in range(12)] + images(9, start=50)
    alike = assign_splits(of, [], Splits(), 4).alike
    assert alike.startswith("12 of 21 images look alike (such as 0.png, 2.png, 4.png)")
    assert "data.near_duplicate_distance = 4" in alike
    assert not assign_splits(of[2:], [], Splits(), None).alike
    assert not assign_splits(of[:10] + of[12:] + images(9, start=90), [], Splits(), 4).alike
    lots = [image(n, group="lot") for n in range(12)] + images(9, start=50)
    assert not assign_splits(lots, [], Splits(), 4).alike


def test_the_leak_check_notices_each_kind_of_leak():
    one, two = image(1), image(2)
    check_leaks([one, two], ["train", "test"], DISTANCE)
    for leak in (
        SplitImage(one.sha256, two.perceptual_hash, two.group),
        SplitImage(two.sha256, two.perceptual_hash, one.group),
        SplitImage(two.sha256, one.perceptual_hash ^ 0b1111, two.group),
    ):
        with raises(DataError):
            check_leaks([one, leak], ["train", "test"], DISTANCE)


@pytest.mark.parametrize("distance", [0, 1, 4, 9, 20, 63, 64])
def test_near_pairs_are_those_of_a_comparison_of_all_pairs(distance):
    random_hashes = np.random.default_rng(distance).integers(0, 2**63, 80, dtype=np.uint64)
    flips = [np.uint64(1 << 63), np.uint64(0b1111), np.uint64(0b11111 << 30), np.uint64(1 << 12 | 1 << 13 | 1 << 51)]
    hashes = np.unique(np.concatenate([random_hashes, *(random_hashes ^ flip for flip in flips)]))
    found = {tuple(sorted((one, int(other)))) for one, near in near_pairs(hashes, distance) for other in near}
    expected = {
        (one, other)
        for one in range(len(hashes))
        for other in range(one + 1, len(hashes))
        if int(hashes[one] ^ hashes[other]).bit_count() <= distance
    }
    assert found == (expected if distance else set())


def test_ties_pass_through_others():
    hashes = np.array([0, 0b1111, 0b1111_1111, 0x3FF << 50, 0b1111_1111], dtype=np.uint64)
    keys = [("a",), ("b",), ("c",), ("d",), ("e",)]
    assert tie_images(hashes, keys, 4).sets() == [[0, 1, 2, 4], [3]]
    assert tie_images(hashes, [("x",), ("b",), ("c",), ("x",), ("e",)], 0).sets() == [[0, 3], [1], [2, 4]]


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(3, 40), st.integers(0, 30), st.integers(1, 12))
def test_no_leak_and_no_move_whatever_comes(seed, old_count, new_count, groups):
    source = random.Random(seed)
    looks = [source.getrandbits(64) for _ in range(10)]

    def draw(number: int) -> SplitImage:
        look = source.choice(looks) ^ (1 << source.randrange(64)) ^ (1 << source.randrange(64))
        look = look if source.random() < 0.4 else source.getrandbits(64)
        group = f"g{source.randrange(groups)}" if source.random() < 0.3 else ""
        return image(seed * 1000 + number, group=group, look=look, classes=source.sample("abc", 1))

    old = [draw(number) for number in range(old_count)]
    try:
        before = assign_splits(old, [], Splits(), DISTANCE).splits
    except DataError:
        return
    new = old + [draw(100 + number) for number in range(new_count)]
    after = assign_splits(new, earlier(old, before), Splits(), DISTANCE).splits
    assert after[:old_count] == before
    kept = [(entry, split) for entry, split in zip(new, after, strict=True) if split]
    check_leaks([entry for entry, _ in kept], [split for _, split in kept], DISTANCE)
    for one, side in kept:
        for other, other_side in kept:
            near = (one.perceptual_hash ^ other.perceptual_hash).bit_count() <= DISTANCE
            assert side == other_side or not (near or one.group == other.group)


def split_counts(of, given, fractions=None):
    return Counter(assign_splits(of, [], fractions or Splits(), DISTANCE, given).splits)


def test_images_with_a_given_split_keep_it():
    of, given = images(30), ["test", "val", "train"] * 5 + [None] * 15
    splits = assign_splits(of, [], Splits(), DISTANCE, given).splits
    assert splits[:15] == given[:15]
    assert None not in splits


def test_an_earlier_version_wins_over_a_given_split():
    of = images(6)
    before = earlier(of[:1], ["test"])
    assert assign_splits(of, before, Splits(), DISTANCE, ["train"] * 3 + ["val"] * 3).splits[0] == "test"


def test_given_splits_without_test_leave_it_empty():
    assert split_counts(images(20), ["train"] * 15 + ["val"] * 5) == {"train": 15, "val": 5}


def test_given_splits_without_val_take_it_from_train():
    counts = split_counts(images(100), ["train"] * 80 + ["test"] * 20)
    assert counts["test"] == 20
    assert counts["val"] == pytest.approx(100 * 0.15 / 0.85, abs=2)


def test_an_image_that_looks_like_another_in_a_given_split_is_left_out_of_train():
    of = [image(1, look=5), image(2, look=5), *images(6, start=10)]
    splits = assign_splits(of, [], Splits(), DISTANCE, ["train", "test", *["train"] * 3, *["val"] * 3]).splits
    assert splits[:2] == [None, "test"]


def test_given_splits_of_images_that_look_alike_say_why_too_few_remain():
    look = random.Random(9).getrandbits(64)
    of = [image(number, look=look ^ number) for number in range(6)]
    sides = ["train", "train", "train", "train", "val", "test"]
    with pytest.raises(DataError) as caught:
        assign_splits(of, [], Splits(), 64, sides)
    assert "5 of 6 images are left out" in str(caught.value)
    assert "data.near_duplicates=off" in str(caught.value)
    assert assign_splits(of, [], Splits(), None, sides).splits == sides
