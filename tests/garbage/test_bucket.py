"""What of the result bucket is garbage, and what never is."""

from __future__ import annotations

import dataclasses
import json
import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sightline.database import ModelRecord, PromotionRecord, open_database
from sightline.errors import DatabaseError, StepError
from sightline.evaluation.champion_by_hand import ByHand
from sightline.garbage.bucket import Bucket
from sightline.garbage.found import SafetyAge
from sightline.garbage.naming import is_named, named_keys
from sightline.models.model_file import read_card, save_model
from sightline.registry.champions import ChampionName, read_champion
from sightline.registry.results import TrainResult
from sightline.registry.store import find_result, publish_result
from sightline.tasks.base import load_task
from tests.copies import restore
from tests.golden import raises
from tests.shapes_world import WEEK, World

KEY = "0123456789abcdef"
SHA256 = "fedcba9876543210" + "0" * 48
UNFINISHED = f"results/train/shapes_train_v1/{KEY}"
MODEL = f"evaluation/shapes_train_v1/box_AP/{SHA256[:16]}"
MODEL_FILES = ("manifest.json", "model.safetensors", "summary-0123456789abcdef.json")


@pytest.fixture(scope="module")
def swept(finished):
    """A copy of bucket, database and runs a month after the run, without any garbage."""
    folder, _ = finished
    restore(folder, folder.with_name("pristine"))
    world = World(folder)
    world.age()
    world.sweep(delete=True)
    for name in ("work/dvc-cache", "data", "remote", "shapes"):
        shutil.rmtree(folder / name)
    shutil.copytree(folder, folder.with_name("swept"), symlinks=True)
    return folder


@pytest.fixture
def aged(swept):
    """The world a month after the run, without any garbage; only the bucket has anything to look through."""
    restore(swept, swept.with_name("swept"))
    return World(swept)


def in_bucket(world, **options):
    return {what for what, kind in world.found(**options).items() if kind in {"result", "model", "temporary"}}


def plant_model(world):
    for name in MODEL_FILES:
        world.plant(world.bucket / MODEL / name)


def rewrite(world, key, change):
    """Change a JSON document of the bucket as Sightline would."""
    storage = world.storage()
    document = json.loads(storage.read_bytes(key)[0])
    storage.write_bytes(key, json.dumps(change(document)).encode())


def test_a_publication_that_never_ended(aged):
    for name in ("best.safetensors", "history.json", "tensorboard/events.1"):
        aged.plant(aged.bucket / UNFINISHED / name)
    (entry,) = aged.sweep().garbage
    assert (entry.kind, entry.what, entry.files, entry.size_bytes) == ("result", UNFINISHED, 3, 12)
    assert entry.reason == "its result.json was never written"
    assert aged.sweep(delete=True).removed == [entry]
    assert not (aged.bucket / UNFINISHED).exists()
    aged.require_intact()


@pytest.mark.parametrize("days", [6.9, -1.0, -4000.0], ids=["young", "tomorrow", "in ten years"])
def test_one_young_file_keeps_its_publication(aged, days):
    aged.plant(aged.bucket / UNFINISHED / "best.safetensors")
    aged.plant(aged.bucket / UNFINISHED / "history.json", days=days)
    assert in_bucket(aged) == set()
    assert in_bucket(aged, delete=True) == set()


def test_files_that_a_finished_result_does_not_name(aged):
    (result,) = aged.bucket.glob("results/evaluate/*/*/result.json")
    extra = aged.plant(result.parent / "drawn" / "of-the-decision-before.jpg")
    (entry,) = aged.sweep().garbage
    assert (entry.files, entry.reason) == (1, "result.json no longer lists it")
    assert aged.sweep(delete=True).removed == [entry]
    assert not extra.exists()
    aged.require_intact()


def test_copies_of_checkpoints_go_when_their_training_is_finished(aged):
    (result,) = aged.bucket.glob("results/train/*/*/result.json")
    needless = aged.plant(result.parent / "checkpoint" / "00000002.json")
    needed = aged.plant(aged.bucket / UNFINISHED / "checkpoint" / "00000002.json")
    done = aged.sweep(delete=True)
    assert [entry.reason for entry in done.removed] == ["result.json no longer lists it"]
    assert not needless.exists()
    assert needed.exists()
    assert [note.startswith(f"{aged.storage().uri}/{UNFINISHED}/checkpoint is a copy") for note in done.notes] == [True]


def test_a_model_of_a_decision_that_was_made_anew(aged):
    plant_model(aged)
    assert in_bucket(aged, delete=True) == {MODEL}
    assert not (aged.bucket / MODEL).exists()
    aged.require_intact()


def name_in_result(world):
    (path,) = world.bucket.glob("results/test/*/*/result.json")
    key = path.relative_to(world.bucket).as_posix()
    rewrite(
        world,
        key,
        lambda document: document | {"later": [{"uri": f"file:///mounted/elsewhere/{MODEL}/model.safetensors"}]},
    )


def name_in_champion(world):
    def change(pointer):
        return pointer | {"previous_uri": (world.bucket / MODEL / "model.safetensors").as_uri()}

    rewrite(world, "champions/shapes/mask_AP.json", change)


def name_in_history(world):
    """An entry of the history, of a champion long ago."""

    def change(pointer):
        return pointer | {"uri": (world.bucket / MODEL / "model.safetensors").as_uri(), "sequence": 7}

    pointer = json.loads(world.storage().read_bytes("champions/shapes/mask_AP.json")[0])
    world.storage().write_bytes("champions/shapes/mask_AP/history/000007.json", json.dumps(change(pointer)).encode())


def name_in_current(world):
    world.storage().write_bytes(
        "evaluation/shapes_train_v1/box_AP/CURRENT.json", json.dumps({"sha256": SHA256, "folder": MODEL}).encode()
    )


def register(world, uri):
    record = ModelRecord(SHA256, uri, "instance_segmentation", "shapes_train_v1", None, "")
    with closing(world.database()) as database:
        database.register_model(record)


def name_in_model_row(world):
    register(world, (world.bucket / MODEL / "model.safetensors").as_uri())


def name_in_promotions(world):
    register(world, "gs://elsewhere/model.safetensors")
    with closing(world.database()) as database:
        database.record_promotion(PromotionRecord("shapes", "box_AP", SHA256, None, 0.5, None, "run"))


@pytest.mark.parametrize(
    "name",
    [name_in_result, name_in_champion, name_in_history, name_in_current, name_in_model_row, name_in_promotions],
)
def test_what_is_named_anywhere_stays(aged, name):
    plant_model(aged)
    assert in_bucket(aged) == {MODEL}
    name(aged)
    aged.age(of=aged.bucket)
    assert in_bucket(aged, delete=True) == set()
    assert {path.name for path in (aged.bucket / MODEL).iterdir()} == set(MODEL_FILES)


def test_all_champions_of_the_history_stay_loadable(aged):
    """Models that were promoted by hand and replaced since are named by entries alone, if the database is new."""
    name = ChampionName("shapes", "mask_AP")
    first = read_champion(aged.storage(), name.dataset, name.metric)[0]
    card = read_card(Path(first.uri.removeprefix("file://")))
    for seed in range(3):
        torch.manual_seed(seed)
        save_model(aged.folder / "m.safetensors", load_task(card.task).build_network(card.architecture, 2), card)
        with closing(aged.database()) as database:
            person = ByHand(aged.storage(), database, name, "me@here", f"{seed}", aged.folder / "fetched")
            assert person.promote(aged.folder / "m.safetensors").changed
    aged.age(of=aged.bucket)
    with closing(aged.database()) as database:
        rows = database.references()
        forgetful = SimpleNamespace(references=lambda: dataclasses.replace(rows, models={}, promoted=frozenset()))
        bucket = Bucket(aged.storage(), forgetful, SafetyAge(datetime.now(UTC), WEEK))
        bucket._require_known_champions = lambda models: None
        assert {entry.what for entry in bucket.find() if entry.kind == "model"} == set()
    assert in_bucket(aged, delete=True) == set()
    aged.require_intact()
    with closing(aged.database()) as database:
        person = ByHand(aged.storage(), database, name, "me@here", "the first one", aged.folder / "fetched")
        assert person.roll_back(1).pointer.sha256 == first.sha256


def test_a_candidate_that_only_the_database_names_stays(aged):
    aged.plant(aged.bucket / UNFINISHED / "best.safetensors")
    register(aged, (aged.bucket / UNFINISHED / "best.safetensors").as_uri())
    assert in_bucket(aged, delete=True) == set()


@pytest.mark.parametrize(
    "key",
    [
        "notes.txt",
        "results/train/shapes_train_v1/not-a-key/best.safetensors",
        "results/deploy/shapes_train_v1/0123456789abcdef/model",
        "evaluation/shapes_train_v1/mask_AP/0123456789abcdef/my-own-notes.txt",
        "champions/shapes/mask_AP.json.bak",
        "champions/shapes/mask_AP/history/notes.json",
        "gc/other",
    ],
)
def test_what_is_not_sightlines_stays(aged, key):
    planted = aged.plant(aged.bucket / key)
    done = aged.sweep(delete=True)
    assert done.garbage == []
    assert planted.exists()
    assert done.notes == [
        f"1 objects of {aged.bucket.as_uri()} were not created by Sightline and are kept, such as {key}"
    ]


def test_a_clock_that_a_killed_gc_left(aged):
    aged.plant(aged.bucket / "gc" / "clock-00ff")
    assert in_bucket(aged, delete=True) == {"gc/clock-"}
    assert not (aged.bucket / "gc").exists()


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("champions/shapes/mask_AP.json", "{"),
        ("champions/shapes/mask_AP/history/000001.json", "{"),
        ("evaluation/shapes_train_v1/mask_AP/CURRENT.json", ""),
        (f"{UNFINISHED}/result.json", "not JSON"),
        (f"{UNFINISHED}/result.json", "{}"),
        (f"{UNFINISHED}/result.json", "[]"),
    ],
)
def test_nothing_is_removed_where_nobody_knows_what_is_needed(aged, key, text):
    aged.storage().write_bytes(key, text.encode())
    plant_model(aged)
    with raises(StepError):
        aged.sweep(delete=True)
    assert (aged.bucket / MODEL / "model.safetensors").exists()


def test_nothing_is_removed_without_its_database(aged, tmp_path):
    plant_model(aged)
    missing = aged.config(f"database.url=sqlite:///{tmp_path / 'other.sqlite'}")
    with raises(DatabaseError):
        aged.sweep(delete=True, config=missing)
    open_database(missing.database.url).close()
    with raises(StepError):
        aged.sweep(delete=True, config=missing)
    assert (aged.bucket / MODEL / "model.safetensors").exists()


@pytest.fixture
def judging(aged):
    """The bucket's garbage as :class:`Bucket` sees it, before anything is removed."""
    with closing(aged.database()) as database:
        yield lambda: Bucket(aged.storage(), database, SafetyAge(datetime.now(UTC), WEEK))


def abandoned(world, tmp_path):
    """The finished training under another key, its ``result.json`` not written yet: a publisher was killed there."""
    (path,) = world.bucket.glob("results/train/*/*/result.json")
    result = find_result(world.storage(), TrainResult, "shapes_train_v1", path.parent.name)
    files = tmp_path / "files"
    files.mkdir()
    (files / "history.json").write_text("[]")
    (files / "log.txt").write_text("log")
    other = dataclasses.replace(result, candidates=[], history="")
    publish = lambda: publish_result(  # noqa: E731
        world.storage(), other, "shapes_train_v1", KEY, files=files, config_digest="c"
    )
    publish()
    world.storage().delete(f"{UNFINISHED}/result.json")
    world.age(of=world.bucket / UNFINISHED)
    return publish


def test_a_publisher_that_goes_on_while_gc_looks(aged, judging, tmp_path):
    publish = abandoned(aged, tmp_path)
    bucket = judging()
    garbage = list(bucket.find())
    assert len(garbage) == 1
    publish()
    assert list(bucket.remove(garbage)) == []
    aged.require_intact()


def test_a_publisher_that_has_not_written_its_result_yet(aged, judging, tmp_path):
    publish = abandoned(aged, tmp_path)
    bucket = judging()
    garbage = list(bucket.find())
    publish()
    aged.storage().delete(f"{UNFINISHED}/result.json")
    list(bucket.remove(garbage))
    assert {path.name for path in (aged.bucket / UNFINISHED).rglob("*") if path.is_file()} >= {
        "history.json",
        "log.txt",
    }


def test_a_model_that_is_found_there_and_selected_again(aged, judging):
    """The writer does not write, as the bytes are there; so it must make them young."""
    plant_model(aged)
    bucket = judging()
    garbage = list(bucket.find())
    storage = aged.storage()
    for name in MODEL_FILES:
        storage.write_bytes(f"{MODEL}/{name}", b"left", if_generation=0)
    assert list(bucket.remove(garbage)) == []
    assert {path.name for path in (aged.bucket / MODEL).iterdir()} == set(MODEL_FILES)
    assert in_bucket(aged) == set()


def test_a_pointer_that_moves_to_it_before_it_is_removed(aged, judging):
    plant_model(aged)
    bucket = judging()
    garbage = list(bucket.find())
    name_in_champion(aged)
    assert list(bucket.remove(garbage)) == []


@pytest.mark.parametrize("days", [30, -30], ids=["ahead", "behind"])
def test_a_clock_of_this_machine_that_is_wrong_makes_nothing_old(aged, monkeypatch, days):
    """Ages are those of the storage and the volume; the earlier of two times is taken."""
    young = [
        aged.plant(aged.bucket / UNFINISHED / "best.safetensors", days=1),
        aged.plant(aged.work / "train" / ".checkpoint.1.part", days=1),
    ]
    wrong = datetime.now(UTC) + timedelta(days=days)
    monkeypatch.setattr("sightline.garbage.found.local_now", lambda: wrong)
    assert aged.sweep(delete=True).garbage == []
    assert all(path.exists() for path in young)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("file:///bucket/results/train/t/k/best.safetensors", ["results/train/t/k/best.safetensors"]),
        ("gs://bucket/prefix/evaluation/t/m/k/", ["evaluation/t/m/k"]),
        ("evaluation/t/m/k", ["evaluation/t/m/k"]),
        ("file:///a%20b/results/train/t%23/k", ["results/train/t#/k"]),
        ("/results/mine/results/test/k", ["results/mine/results/test/k", "results/test/k"]),
        ("no results/ here", []),
        ("results", []),
    ],
)
def test_keys_in_a_document(text, keys):
    assert list(named_keys({"a": [{"b": text}, 1, None, True]})) == keys
    assert list(named_keys({text: 1})) == keys


def test_a_folder_names_what_lies_in_it():
    assert is_named("a/b/c", {"a/b"})
    assert is_named("a/b", {"a/b"})
    assert not is_named("a/bc", {"a/b"})
    assert not is_named("a", {"a/b"})
