"""Samples of a dataset: seeded, per class, and without any change of the source."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.data.tools.listing import Item
from sightline.data.tools.sample import _chosen, sample
from sightline.errors import DataError
from tests.data.tools.folders import tree, write_class_folders
from tests.labelled_folder import names, write_images, write_labels


def test_every_class_gives_its_fraction_and_at_least_one_image(tmp_path):
    source = write_class_folders(tmp_path / "in", {"crack": 20, "good": 10, "자동차": 1})
    before = tree(source)
    result = sample(source, tmp_path / "out", 0.25)
    assert result.chosen == {"crack": 5, "good": 2, "자동차": 1}
    assert result.available == {"crack": 20, "good": 10, "자동차": 1}
    written = tree(tmp_path / "out")
    assert len(written) == 8
    assert written.items() <= before.items()
    assert tree(source) == before


def test_the_same_seed_chooses_the_same_images_and_another_others(tmp_path):
    source = write_class_folders(tmp_path / "in", {"crack": 40})
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        sample(source, tmp_path / name, 0.5, seed)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert tree(tmp_path / "a") != tree(tmp_path / "c")


def test_labelme_files_are_copied_with_their_images(tmp_path):
    source = write_images(tmp_path / "in", names(10))
    (source / "notes.txt").write_text("hand-made")
    result = sample(source, tmp_path / "out", 0.3)
    assert sum(result.chosen.values()) == 3
    assert result.other == ("notes.txt",)
    written = tree(tmp_path / "out")
    assert {name[:3] for name in written if name.endswith(".json")} == {name[:3] for name in written}
    assert len(written) == 6


def test_labelme_files_are_sampled_by_their_rarest_label(tmp_path):
    source = write_images(tmp_path / "in", names(20), labels=["car"])
    for number, name in enumerate(names(20)):
        if number < 6:
            write_labels(source, name, ["car", "truck"])
        elif number < 8:
            write_labels(source, name, [])
    result = sample(source, tmp_path / "out", 0.5)
    assert result.available == {"": 2, "car": 12, "truck": 6}
    assert result.chosen == {"": 1, "car": 6, "truck": 3}


def test_a_dry_run_writes_nothing(tmp_path):
    source = write_class_folders(tmp_path / "in", {"crack": 4})
    assert sample(source, tmp_path / "out", 0.5, dry_run=True).chosen == {"crack": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@given(st.integers(1, 60), st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 5))
def test_a_larger_fraction_contains_a_smaller_one(count, one, other, seed):
    items = [Item(f"crack/{number}.jpg", label="crack") for number in range(count)]
    small, large = (set(_chosen(items, fraction, seed)) for fraction in sorted((one, other)))
    assert small <= large


@pytest.mark.parametrize("fraction", [0, -0.1, 1.1, float("nan")])
def test_a_fraction_out_of_range_is_refused(tmp_path, fraction):
    source = write_class_folders(tmp_path / "in", {"crack": 4})
    with pytest.raises(DataError, match="fraction"):
        sample(source, tmp_path / "out", fraction)


def test_an_existing_output_stays_as_it_is(tmp_path):
    source = write_class_folders(tmp_path / "in", {"crack": 4})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="already exists"):
        sample(source, tmp_path / "out", 0.5)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_an_output_inside_the_source_is_refused(tmp_path):
    source = write_class_folders(tmp_path / "in", {"crack": 4})
    with pytest.raises(DataError, match="inside the source"):
        sample(source, source / "out", 0.5)


def test_a_folder_without_images_or_with_images_outside_class_folders_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no labeled images"):
        sample(tmp_path / "empty", tmp_path / "out", 0.5)
    source = write_class_folders(tmp_path / "in", {".": 2, "crack": 2})
    with pytest.raises(DataError, match="2 faults") as refused:
        sample(source, tmp_path / "out", 0.5)
    assert "000.jpg" in str(refused.value)
    assert "001.jpg" in str(refused.value)


def test_all_broken_labelme_files_are_listed(tmp_path):
    source = write_images(tmp_path / "in", names(3))
    (source / "000.json").write_text("{")
    (source / "001.jpg").unlink()
    with pytest.raises(DataError) as refused:
        sample(source, tmp_path / "out", 0.5)
    assert "000.json" in str(refused.value)
    assert "001.jpg" in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["labels.csv", "crack/000.txt"])
def test_annotations_that_would_stay_behind_are_refused(tmp_path, name):
    source = write_class_folders(tmp_path / "in", {"crack": 3, "good": 3})
    (source / name).write_text("path,class\ncrack/000.jpg,good\n")
    with pytest.raises(DataError, match=name):
        sample(source, tmp_path / "out", 0.5)


def test_what_a_killed_call_left_is_named_and_stays(tmp_path, caplog):
    source = write_class_folders(tmp_path / "in", {"crack": 3, "good": 3})
    left = tmp_path / ".out[1].0123456789abcdef.part"
    left.mkdir()
    sample(source, tmp_path / "out[1]", 0.5)
    assert left.name in caplog.text
    assert left.is_dir()
