"""record on real git, DVC, SQLite and a folder as bucket: what comes out, again, killed, and refused."""

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from sightline.config.decode import decode
from sightline.config.schema import Config
from sightline.data.dvc.cache import Cache
from sightline.data.dvc.objects import file_md5
from sightline.data.formats.coco import read_coco
from sightline.data.git import commands
from sightline.data.repository.checkout import checkout
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.repository.history import list_tags, open_history
from sightline.data.tags import DatasetTag
from sightline.data.workspace import Workspace
from sightline.database import open_database
from sightline.errors import ConfigurationError, DataError, RepositoryError, UnknownTagError, VersionConflictError
from sightline.registry.results import RecordResult
from sightline.registry.store import find_result
from sightline.steps import record
from sightline.storage import open_storage
from tests.golden import raises
from tests.labelled_folder import CLASSES, names, write_images, write_labels, write_picture
from tests.real_labelme import REAL_LABELME, needs_real_labelme

CODE = "0.1.0-test"


class World:
    """A data repository, a bucket, a database and a work volume in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.photos = folder, folder / "photos"
        self.repository, self.remote = folder / "data", folder / "remote"

    def config(self, tag: str, *overrides: str) -> Config:
        classes = ", ".join(CLASSES)
        places = [
            f"data.repository={self.repository}",
            f"storage.uri={self.folder / 'bucket'}",
            f"database.url=sqlite:///{self.folder / 'db.sqlite'}",
            f"work.dir={self.folder / 'work'}",
        ]
        return decode(
            "instance_segmentation",
            [f"data.tag={tag}", f"data.classes=[{classes}]", "data.jobs=1", *places, *overrides],
        )

    def run(self, tag: str, *overrides: str) -> RecordResult:
        return record.run(self.config(tag, *overrides), CODE)

    def add(self, tag: str) -> None:
        add_annotations(self.repository, self.photos, DatasetTag.parse(tag))

    def rows(self) -> list[tuple]:
        database = open_database(f"sqlite:///{self.folder / 'db.sqlite'}")
        rows = [
            (row.record, row.images, sorted(image.path + image.split for image in database.images(row.record.tag)))
            for row in database.versions()
        ]
        database.close()
        return rows

    def tags(self) -> dict[str, str]:
        return list_tags(str(self.repository), 60)

    def forget_results(self) -> None:
        for name in ("bucket", "work"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for path in self.folder.glob("db.sqlite*"):
            path.unlink()


def make_world(folder: Path, count: int, **labels) -> World:
    world = World(folder)
    init_repository(world.repository, str(world.remote))
    if count:
        write_images(world.photos, names(count), **labels)
    return world


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """v1 of 24 images is recorded, v2 with eight more and three fewer too; no test changes it."""
    world = make_world(tmp_path_factory.mktemp("recorded"), 24)
    embed(world.photos, "010")
    world.add("pets_ann_v1")
    first = world.run("pets_ann_v1")
    for name in names(3):
        (world.photos / f"{name}.jpg").unlink()
        (world.photos / f"{name}.json").unlink()
    write_images(world.photos, names(8, start=24))
    world.add("pets_ann_v2")
    return world, first, world.run("pets_ann_v2")


def embed(photos: Path, name: str) -> None:
    """Move an image into its JSON file."""
    document = json.loads((photos / f"{name}.json").read_text())
    document["imageData"] = base64.b64encode((photos / f"{name}.jpg").read_bytes()).decode()
    (photos / f"{name}.json").write_text(json.dumps(document))
    (photos / f"{name}.jpg").unlink()


@pytest.fixture(scope="module")
def training(recorded, tmp_path_factory):
    """A checkout of the first training tag."""
    world, first, _ = recorded
    return checkout(Workspace(str(world.repository), tmp_path_factory.mktemp("work")), first.training_tag)


def test_the_result_says_what_was_published(recorded):
    world, first, _ = recorded
    assert (first.dataset, first.version, first.training_tag) == ("pets", "v1", "pets_train_v1")
    assert first.training_commit == world.tags()["pets_train_v1"]
    assert first.annotation_commit == world.tags()["pets_ann_v1"]
    assert first.images == {"train": 17, "val": 4, "test": 3}
    assert sum(sum(counts.values()) for counts in first.instances.values()) == 48
    assert first.dropped == {}
    assert first.warnings == []


def test_the_training_commit_hangs_off_the_annotation_commit(recorded):
    world, first, _ = recorded
    parent = commands.git("rev-parse", "pets_train_v1^", cwd=world.repository, timeout_seconds=60).strip()
    assert parent == first.annotation_commit
    branches = commands.git("branch", "--contains", "pets_train_v1", cwd=world.repository, timeout_seconds=60)
    assert branches == ""


def test_a_checkout_of_the_training_tag_holds_documents_and_images(recorded, training):
    _, first, _ = recorded
    ids = []
    for split, count in first.images.items():
        document = read_coco(training.path / "training" / "pets" / f"{split}.json")
        assert len(document["images"]) == count
        assert [category["name"] for category in document["categories"]] == list(CLASSES)
        assert all((training.path / image["file_name"]).is_file() for image in document["images"])
        ids += [image["id"] for image in document["images"]]
    assert sorted(ids) == list(range(1, 25))
    embedded = [
        path.relative_to(training.path).parts[:3] for path in training.path.glob("training/pets/images/**/*.jpg")
    ]
    assert embedded == [("training", "pets", "images")]


def test_the_database_knows_both_versions(recorded):
    world, first, second = recorded
    rows = world.rows()
    assert [(row.tag, row.kind, images) for row, images, _ in rows] == [
        ("pets_ann_v1", "annotations", 23),  # the embedded image is no file of the annotations
        ("pets_train_v1", "training", 24),
        ("pets_ann_v2", "annotations", 28),
        ("pets_train_v2", "training", 29),
    ]
    assert rows[1][0].parent_tag == "pets_ann_v1"
    assert rows[1][0].commit == first.training_commit
    assert rows[3][0].commit == second.training_commit


def test_the_report_lies_in_the_bucket(recorded):
    world, first, second = recorded
    storage = open_storage(str(world.folder / "bucket"))
    folder = second.files.removeprefix(storage.uri + "/")
    assert storage.stat(f"{folder}/report.html").size > 10_000
    numbers = json.loads(storage.read_bytes(f"{folder}/report.json")[0])
    assert numbers["previous"] == {"tag": "pets_train_v1", "kept": 21, "new": 8, "removed": 3}
    assert numbers["image_sizes"] == {"64x48": 29}
    assert numbers["instances"] == second.instances
    assert numbers["groups"] == 29
    assert first.files != second.files


def test_images_keep_their_split_from_version_to_version(recorded):
    world, _, second = recorded
    tags = [DatasetTag.parse(f"pets_train_v{number}") for number in (1, 2)]
    with open_history(str(world.repository), tags, 60) as history:
        before, after = (
            {image["sha256"]: image["split"] for image in json.loads(history.read(tag, "dataset.json"))["images"]}
            for tag in tags
        )
    assert len(before.keys() & after.keys()) == 21
    assert all(before[sha256] == after[sha256] for sha256 in before.keys() & after.keys())
    assert abs(second.images["train"] - 0.7 * 29) <= 3


def test_recording_twice_changes_nothing(recorded):
    world, first, _ = recorded
    tags, rows = world.tags(), world.rows()
    assert world.run("pets_ann_v1") == first
    assert (world.tags(), world.rows()) == (tags, rows)


def test_other_code_writes_the_report_again_and_nothing_else(recorded):
    world, first, _ = recorded
    tags, rows = world.tags(), world.rows()
    again = record.run(world.config("pets_ann_v1"), "0.1.0-other")
    assert again.training_commit == first.training_commit
    assert again.files != first.files
    assert (world.tags(), world.rows()) == (tags, rows)


def test_a_lost_database_bucket_and_volume_are_made_again(recorded, tmp_path):
    world, first, _ = recorded
    other = World(tmp_path)
    other.repository = world.repository
    again = other.run("pets_ann_v1")
    assert again.training_commit == first.training_commit
    assert [row for row, _, _ in other.rows()] == [row for row, _, _ in world.rows()][:2]


def test_another_configuration_is_refused_and_the_difference_named(recorded):
    world, _, _ = recorded
    with raises(RepositoryError, "pets_train_v1", "data.splits.val", "0.15", "0.2"):
        world.run("pets_ann_v1", "data.splits={train: 0.7, val: 0.2, test: 0.1}")


def test_a_training_tag_or_an_unknown_one_is_refused(recorded):
    world, _, _ = recorded
    with raises(ConfigurationError, "pets_ann_v1"):
        world.run("pets_train_v1")
    with raises(UnknownTagError, "pets_ann_v"):
        world.run("pets_ann_v9")


def test_a_tag_that_moved_since_it_was_recorded_is_refused(recorded, tmp_path):
    world, first, second = recorded
    moved = World(tmp_path)
    moved.repository = tmp_path / "data"
    shutil.copytree(world.repository, moved.repository)
    shutil.copyfile(world.folder / "db.sqlite", tmp_path / "db.sqlite")
    commands.git("tag", "--force", "pets_ann_v1", second.annotation_commit, cwd=moved.repository, timeout_seconds=60)
    with raises(RepositoryError, second.annotation_commit, first.annotation_commit):
        moved.run("pets_ann_v1")


def test_a_version_with_other_contents_in_the_database_is_a_conflict(recorded, tmp_path):
    world, _, _ = recorded
    other = World(tmp_path)
    other.repository = world.repository
    database = open_database(f"sqlite:///{tmp_path / 'db.sqlite'}")
    row = world.rows()[1][0]
    fields = {name: getattr(row, name) for name in row.__slots__} | {"digest": "0" * 32 + ".dir"}
    database.register_version(type(row)(**fields), [], [])
    database.close()
    with raises(VersionConflictError, "pets_train_v1"):
        other.run("pets_ann_v1")


def test_faults_are_listed_all_at_once(tmp_path):
    world = make_world(tmp_path, 6)
    for name in names(6):
        write_labels(world.photos, name, ["unicorn"] * 12)
    world.add("pets_ann_v1")
    with raises(DataError, "pets_ann_v1") as caught:
        world.run("pets_ann_v1")
    first, *lines = str(caught.value).splitlines()
    assert lines == ["  'unicorn': 72 shapes in 6 files; the label is not in data.classes"]
    assert "data.faults.unknown_label=drop" in first
    listed = (tmp_path / "work" / "faults" / "pets_ann_v1.txt").read_text().splitlines()
    assert len(listed) == 72
    assert "pets_train_v1" not in world.tags()
    with raises(DataError):
        shrink(world, 2)


def shrink(world: World, count: int) -> None:
    """Record only the first images as v2."""
    shutil.rmtree(world.photos)
    write_images(world.photos, names(count))
    world.add("pets_ann_v2")
    world.run("pets_ann_v2")


def test_three_images_are_recorded_with_a_warning(tmp_path):
    world = make_world(tmp_path, 3)
    embed(world.photos, "001")
    world.add("pets_ann_v1")
    with raises(DataError, "data.splits.val"):
        world.run("pets_ann_v1", "data.splits={train: 0.8, val: 0, test: 0.2}")
    result = world.run("pets_ann_v1", "data.classes=[cat, dog, bird, fish]")
    assert result.images == {"train": 1, "val": 1, "test": 1}
    assert any("too little data: 3 images" in warning for warning in result.warnings)
    assert any("without labels: fish" in warning for warning in result.warnings)
    assert any(" in val: " in warning or " in train: " in warning for warning in result.warnings)


def test_near_duplicates_of_two_splits_are_counted_and_dropped_ones_reported(tmp_path):
    world = make_world(tmp_path, 20)
    write_labels(world.photos, "000", ["cat", "unicorn"])
    write_picture(world.photos / "twin.jpg", seed="001", change=5)
    write_labels(world.photos, "twin", ["cat"])
    world.add("pets_ann_v1")
    result = world.run("pets_ann_v1", "data.faults.unknown_label=drop", "data.splits={train: 0.8, val: 0.2, test: 0}")
    assert result.dropped == {"unknown_label": 1}
    assert result.images["test"] == 0
    assert any("the test split is empty" in warning for warning in result.warnings)
    numbers = json.loads(Path(result.files.removeprefix("file://"), "report.json").read_text())
    (alike,) = numbers["near_duplicates"]
    assert [name.rpartition("/")[2] for name in alike] == ["001.jpg", "twin.jpg"]
    page = Path(result.files.removeprefix("file://"), "report.html").read_text()
    assert f"{alike[0]} · {alike[1]}" in page
    assert numbers["faults"] != []
    train = {image["sha256"] for image in numbers_of(world, "train")}
    twins = [image for split in ("train", "val") for image in numbers_of(world, split) if "twin" in image["file_name"]]
    one = next(image for split in ("train", "val") for image in numbers_of(world, split) if "001" in image["file_name"])
    assert (twins[0]["sha256"] in train) == (one["sha256"] in train)


def numbers_of(world: World, split: str) -> list[dict]:
    tag = DatasetTag.parse("pets_train_v1")
    with open_history(str(world.repository), [tag], 60) as history:
        return json.loads(history.read(tag, f"{split}.json"))["images"]


SCRIPT = """
import sys
from sightline.config import decode
from sightline.logs import configure_logging
from sightline.steps import record
if __name__ == "__main__":
    configure_logging()
    record.run(decode.from_json(open(sys.argv[1]).read()), sys.argv[2])
"""


def start(world: World, tmp_path: Path, tag: str) -> subprocess.Popen:
    (tmp_path / "record.py").write_text(SCRIPT)
    (tmp_path / "config.json").write_text(world.config(tag).model_dump_json())
    command = [sys.executable, str(tmp_path / "record.py"), str(tmp_path / "config.json"), CODE]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ)


def test_killed_at_any_stage_it_ends_as_one_that_was_left_alone(tmp_path):
    world = make_world(tmp_path / "world", 12)
    world.add("pets_ann_v1")
    expected = world.run("pets_ann_v1")
    rows = world.rows()
    commands.git("tag", "--delete", "pets_train_v1", cwd=world.repository, timeout_seconds=60)
    shutil.rmtree(world.remote / "training")
    world.forget_results()
    work, bucket = world.folder / "work", world.folder / "bucket"
    stages = {
        "clone": lambda: list(work.glob("checkouts/*.part/annotations")),
        "checked out": lambda: list(work.glob("checkouts/pets_ann_v1-*[0-9a-f]")),
        "written": lambda: list(work.glob("publish/*.part/training/pets/dataset.json")),
        "pushed": lambda: list((world.remote / "training").rglob("*.dir")),
        "tagged": lambda: "pets_train_v1" in world.tags(),
        "uploaded": lambda: list(bucket.rglob("report.html")),
    }
    reached = []
    for stage, sign in stages.items():
        process = start(world, tmp_path, "pets_ann_v1")
        deadline = time.monotonic() + 60
        while not sign() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        if process.poll() is None:
            reached.append(stage)
            kill(process)
        if "pets_train_v1" in world.tags():
            with open_history(str(world.repository), [DatasetTag.parse("pets_train_v1")], 60) as history:
                manifest = history.manifest(DatasetTag.parse("pets_train_v1"))
            remote = Cache(world.remote / "training")  # a remote that is a folder looks like a cache
            assert all(file_md5(remote.path_of(md5)) == md5 for md5 in manifest.values())
    assert len(reached) >= 4, reached
    result = world.run("pets_ann_v1")
    assert (result.training_commit, result.digest) == (expected.training_commit, expected.digest)
    assert world.rows() == rows
    assert list(work.rglob("*.part")) == []
    found = find_result(open_storage(str(bucket)), RecordResult, "pets_train_v1", result.files.split("/")[-2])
    assert found == result


def kill(process: subprocess.Popen) -> None:
    """SIGKILL a process and all that it started, as the end of a container does."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


def test_two_records_of_one_tag_at_once_publish_one(tmp_path):
    world = make_world(tmp_path / "world", 8)
    world.add("pets_ann_v1")
    apart = World(world.folder)
    configs = [world.config("pets_ann_v1"), apart.config("pets_ann_v1", f"work.dir={tmp_path / 'other-volume'}")]
    results: list[RecordResult] = []
    threads = [threading.Thread(target=lambda c=config: results.append(record.run(c, CODE))) for config in configs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert results[0].training_commit == results[1].training_commit == world.tags()["pets_train_v1"]
    assert [row.tag for row, _, _ in world.rows()] == ["pets_ann_v1", "pets_train_v1"]


def test_what_another_published_meanwhile_is_compared_not_overwritten(tmp_path, monkeypatch):
    """The push of a tag that is there is refused; what stands there is read back."""
    world = make_world(tmp_path / "world", 8)
    world.add("pets_ann_v1")
    first = world.run("pets_ann_v1", f"work.dir={tmp_path / 'first'}")
    from sightline.data.recording import training_tag

    real, calls = training_tag.find_training_tag, []

    def blind_at_first(*arguments):
        calls.append(arguments)
        return None if len(calls) <= 1 else real(*arguments)

    monkeypatch.setattr(training_tag, "find_training_tag", blind_at_first)
    monkeypatch.setattr(record, "find_training_tag", lambda *_: None)
    world.forget_results()
    assert world.run("pets_ann_v1").training_commit == first.training_commit
    world.forget_results()
    calls.clear()
    with raises(RepositoryError, "data.classes"):
        world.run("pets_ann_v1", "data.classes=[cat, dog, bird, fish]")
    assert world.tags()["pets_train_v1"] == first.training_commit


@needs_real_labelme
def test_real_labelme_data_is_counted_right(tmp_path):
    world = make_world(tmp_path, 0)
    world.photos = REAL_LABELME / "instance_segmentation" / "data_annotated"
    world.add("voc_ann_v1")
    labels = (REAL_LABELME / "instance_segmentation" / "labels.txt").read_text().split("\n")
    classes = json.dumps([label for label in labels if label and not label.startswith("_")])
    result = world.run("voc_ann_v1", f"data.classes={classes}", "data.ignored_labels=[__ignore__]")
    instances = set()
    for path in world.photos.glob("*.json"):
        for index, shape in enumerate(json.loads(path.read_text())["shapes"]):
            if shape["label"] != "__ignore__":
                number = index if shape["group_id"] is None else f"group {shape['group_id']}"
                instances.add((path.name, shape["label"], number))
    assert result.images == {"train": 1, "val": 1, "test": 1}
    assert sum(sum(counts.values()) for counts in result.instances.values()) == len(instances)
    assert any("too little data" in warning for warning in result.warnings)
