"""Renaming: new names, a mapping that leads back byte for byte, and imagePath that follows."""

import csv
import hashlib
import json
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sightline.config.decode import decode
from sightline.data.folder_files import list_files
from sightline.data.formats.labelme.folder import read_folder
from sightline.data.tools.rename import mapping_of, rename, rename_back
from sightline.errors import DataError
from tests.data.tools.folders import tree, write_class_folders
from tests.labelled_folder import names, write_images, write_labels, write_picture

DATA = decode("instance_segmentation", ["data.classes=[cat, dog, bird]"]).data


def mapping(folder):
    with mapping_of(folder).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_hash_names_are_the_digest_of_the_image_and_the_mapping_lists_them(tmp_path):
    source = write_class_folders(tmp_path / "in", {"균열": 2, "good": 1})
    rename(source, tmp_path / "out", "hash")
    rows = mapping(tmp_path / "out")
    assert [row["old"] for row in rows] == ["good/000.jpg", "균열/000.jpg", "균열/001.jpg"]
    for row in rows:
        digest = hashlib.sha256((source / row["old"]).read_bytes()).hexdigest()
        assert row["sha256"] == digest
        assert row["new"] == f"{row['old'].split('/')[0]}/{digest}.jpg"
        assert (tmp_path / "out" / row["new"]).read_bytes() == (source / row["old"]).read_bytes()


def test_uuid_names_are_random(tmp_path):
    source = write_class_folders(tmp_path / "in", {"good": 3})
    one, other = (rename(source, tmp_path / name, "uuid") for name in ("a", "b"))
    assert all(re.fullmatch(r"good/[0-9a-f]{32}\.jpg", row.new) for row in one)
    assert {row.new for row in one}.isdisjoint(row.new for row in other)


def test_the_same_annotations_are_read_from_renamed_labelme_files(tmp_path):
    source = write_images(tmp_path / "in", ["한글 이름", "Ärger"])
    (source / "images").mkdir()
    write_picture(source / "images" / "c.jpg", seed="c")
    write_labels(source, "c", ["cat"])
    (source / "c.json").write_text((source / "c.json").read_text().replace('"c.jpg"', r'"images\\c.jpg"'))
    rename(source, tmp_path / "out", "hash")
    old, new = read_folder(source, DATA), read_folder(tmp_path / "out", DATA)
    assert not new.faults
    assert {i.sha256: i.instances for i in new.images} == {i.sha256: i.instances for i in old.images}
    assert {i.image.rpartition("/")[2] for i in new.images} == {f"{i.sha256}.jpg" for i in new.images}


@settings(max_examples=15)
@given(
    st.sets(st.text(st.characters(codec="utf-8", exclude_characters="/\\.", exclude_categories=["C", "Z"]), min_size=1,
                    max_size=12), min_size=1, max_size=4),
    st.sampled_from(["uuid", "hash"]),
    st.booleans(),
)  # fmt: skip
def test_the_mapping_leads_back_to_every_byte(tmp_path_factory, found, by, ascii_only):
    folded = {name.casefold(): name for name in found}
    root = tmp_path_factory.mktemp("names")
    source = write_images(root / "in", sorted(folded.values()))
    for path in source.glob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()), ensure_ascii=ascii_only, indent=1))
    assume(not list_files(source).refused)  # such as names that are the same on macOS
    rename(source, root / "out", by)
    restored = rename_back(mapping_of(root / "out"), root / "back")
    assert restored.changed == ()
    assert tree(root / "back") == tree(source)


def test_a_changed_file_is_restored_and_reported(tmp_path):
    source = write_class_folders(tmp_path / "in", {"good": 2})
    new = rename(source, tmp_path / "out", "uuid")[0]
    write_picture(tmp_path / "out" / new.new, seed="edited")
    assert rename_back(mapping_of(tmp_path / "out"), tmp_path / "back").changed == (new.old,)
    assert len(tree(tmp_path / "back")) == 2


def test_equal_images_in_one_folder_keep_both_names(tmp_path):
    source = write_class_folders(tmp_path / "in", {"good": 1})
    (source / "good" / "copy.JPG").write_bytes((source / "good" / "000.jpg").read_bytes())
    rename(source, tmp_path / "out", "hash")
    assert len({row["new"] for row in mapping(tmp_path / "out")}) == 2
    rename_back(mapping_of(tmp_path / "out"), tmp_path / "back")
    assert tree(tmp_path / "back") == tree(source)


def test_a_dry_run_writes_nothing(tmp_path):
    source = write_class_folders(tmp_path / "in", {"good": 2})
    assert len(rename(source, tmp_path / "out", "uuid", dry_run=True)) == 2
    assert not (tmp_path / "out").exists()
    rename(source, tmp_path / "out", "uuid")
    assert len(rename_back(mapping_of(tmp_path / "out"), tmp_path / "back", dry_run=True).files) == 2
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("line", ["a.jpg,../b.jpg,0", "a.jpg,/etc/b.jpg,0", "../a.jpg,b.jpg,0", "a.jpg,b.jpg"])
def test_a_mapping_cannot_lead_out_of_the_folder(tmp_path, line):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"x")
    mapping_of(folder).write_text(f"new,old,sha256\n{line}\n")
    with pytest.raises(DataError, match="line 2"):
        rename_back(mapping_of(folder), tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_mapping_with_two_equal_old_names_or_missing_files_is_refused(tmp_path):
    source = write_class_folders(tmp_path / "in", {"good": 2})
    new = rename(source, tmp_path / "out", "uuid")
    text = mapping_of(tmp_path / "out").read_text()
    mapping_of(tmp_path / "out").write_text(text.replace("001.jpg", "000.jpg"))
    with pytest.raises(DataError, match="2 files have this old name"):
        rename_back(mapping_of(tmp_path / "out"), tmp_path / "back")
    mapping_of(tmp_path / "out").write_text(text)
    (tmp_path / "out" / new[0].new).unlink()
    with pytest.raises(DataError, match="missing"):
        rename_back(mapping_of(tmp_path / "out"), tmp_path / "back")


def test_other_files_are_not_a_mapping(tmp_path):
    (tmp_path / "in").mkdir()
    mapping_of(tmp_path / "in").write_text("a,b\n")
    with pytest.raises(DataError, match="does not begin"):
        rename_back(mapping_of(tmp_path / "in"), tmp_path / "back")
    with pytest.raises(DataError, match="cannot be read"):
        rename_back(tmp_path / "missing.mapping.csv", tmp_path / "back")


def test_names_of_labelme_files_without_an_image_are_kept_apart(tmp_path):
    import base64

    source = tmp_path / "in"
    for name in names(2):
        write_images(source, [name])
        document = json.loads((source / f"{name}.json").read_text())
        document["imageData"] = base64.b64encode((source / f"{name}.jpg").read_bytes()).decode()
        (source / f"{name}.json").write_text(json.dumps(document))
        (source / f"{name}.jpg").unlink()
    rename(source, tmp_path / "out", "hash")
    assert len(read_folder(tmp_path / "out", DATA).images) == 2
    rename_back(mapping_of(tmp_path / "out"), tmp_path / "back")
    assert tree(tmp_path / "back") == tree(source)
