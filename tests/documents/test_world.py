"""A bucket, a database, a work volume and a data repository of the code before documents had formats, used by ours.

``world/`` was written by that code and is never written again.  Its weights are zeros, so that they take no room; files
over 20 kB are compressed with gzip, paths are ``@WORLD@``, and the DVC remotes are below ``~``.
"""

import gzip
import json
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from sightline.config.digest import config_digest
from sightline.data.detections import Detections
from sightline.database import open_database
from sightline.engine.checkpoints import Checkpoints
from sightline.evaluation.inference import predictions_from_json
from sightline.registry.champions import read_champion
from sightline.registry.results import EvaluateResult, RecordResult
from sightline.registry.store import STEP_OF, latest_result
from sightline.report.pages.history_charts import read_history
from sightline.runs.document import read_runs
from sightline.runs.journal import read_journal
from sightline.storage import fetch
from sightline.tasks.base import load_model
from tests.shapes_world import World

STORED = Path(__file__).parent / "world"
TAG = "shapes_train_v1"


def unpack(folder: Path) -> None:
    """Put the stored world into a folder."""
    for path in sorted(STORED.rglob("*")):
        if path.is_file() and path.suffix not in {".sql", ".bundle"}:
            target = folder / path.relative_to(STORED)
            data = path.read_bytes()
            if target.suffix == ".gz":
                target, data = target.with_suffix(""), gzip.decompress(data)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data.replace(b"@WORLD@", str(folder).encode()))
    with closing(sqlite3.connect(folder / "sightline.sqlite")) as connection:
        connection.executescript((STORED / "sightline.sql").read_text().replace("@WORLD@", str(folder)))
    subprocess.run(["git", "init", "-q", "-b", "main", folder / "data"], check=True)
    fetch_all = ["git", "-C", folder / "data", "fetch", "-q", "-u", STORED / "data.bundle", "+refs/*:refs/*"]
    subprocess.run(fetch_all, check=True)
    subprocess.run(["git", "-C", folder / "data", "reset", "-q", "--hard"], check=True)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored") / "world"
    folder.mkdir()
    unpack(folder)
    return folder


@pytest.fixture
def world(stored, tmp_path, monkeypatch):
    """The world as it was stored, in the folder that its documents name."""
    copy = shutil.copytree(stored, tmp_path / "copy")
    monkeypatch.setenv("HOME", str(stored))
    yield World(stored)
    shutil.rmtree(stored)
    shutil.move(copy, stored)


def test_everything_in_it_is_read(world):
    config, storage = world.config(), world.storage()
    for kind in STEP_OF:
        assert latest_result(storage, kind, TAG, config_digest(STEP_OF[kind], config)) is not None
    champion, generation = read_champion(storage, "shapes", "mask_AP")
    assert champion.sequence == 1
    assert generation
    assert load_model(fetch(champion.uri, world.folder / "fetched"))[1].training_tag == TAG
    (run,) = read_runs(world.work)
    assert run.state == "succeeded"
    assert {entry.state for entry in read_journal(world.work, run.run_id).values()} == {"succeeded"}
    (checkpoint,) = world.work.glob("train/*/checkpoint.safetensors")
    (history,) = world.bucket.glob("results/train/*/*/*/history.json")
    assert Checkpoints(checkpoint.parent / "checkpoints").read_state().history == json.loads(history.read_text())
    assert len(read_history(history.parent)) == 1
    (kept,) = world.work.glob("evaluate/*/detections-*.json")
    assert len(predictions_from_json(kept.read_text(), Detections)) == 2
    with closing(open_database(config.database.url)) as database:
        assert database.version(TAG) is not None
        assert champion.sha256 in database.references().promoted


def test_the_pipeline_goes_on_in_it(world):
    storage = world.storage()
    before, _ = read_champion(storage, "shapes", "mask_AP")
    recorded = latest_result(storage, RecordResult, TAG, config_digest("record", world.config()))
    run_id = world.run("evaluate.min_improvement=0.9")
    assert set(world.states(run_id).values()) <= {"succeeded", "reused"}
    again = latest_result(storage, RecordResult, TAG, config_digest("record", world.config()))
    assert (again.training_commit, again.digest) == (recorded.training_commit, recorded.digest)
    evaluated = latest_result(
        storage, EvaluateResult, TAG, config_digest("evaluate", world.config("evaluate.min_improvement=0.9"))
    )
    assert evaluated.selections[0].champion == "measured"
    assert evaluated.selections[0].previous_sha256 == before.sha256
    assert read_champion(storage, "shapes", "mask_AP")[0] == before
    assert len(read_runs(world.work)) == 2


def test_garbage_collection_keeps_what_it_needs(world):
    world.age()
    world.sweep(delete=True)
    world.require_intact()
