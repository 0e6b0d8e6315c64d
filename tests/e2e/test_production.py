"""The same pipeline on a bucket of Google Storage and a MySQL server: three settings differ, the results do not."""

import hashlib
import json
import shutil

import pytest

from sightline.database import open_database
from sightline.database.engine.connection import connect
from sightline.database.schema.upgrade import upgrade
from sightline.storage import open_uri
from tests.e2e.conftest import World, weights_digest
from tests.servers.mariadb import PASSWORD_VARIABLE, new_database

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def production(tmp_path_factory, google_storage_server, mariadb_server):
    """A world after one run, whose data, results and records lie on servers from the beginning."""
    google_storage_server.fail()
    with new_database(mariadb_server) as url:
        engine = connect(url)
        upgrade(engine)
        engine.dispose()
        bucket = f"gs://{google_storage_server.new_bucket()}"
        world = World(tmp_path_factory.mktemp("production"))
        world.draw(images=24)
        world.sightline("data", "init", str(world.folder / "data"), "--remote", f"{bucket}/dvc")
        world.publish("v1")
        world.bucket, world.url = bucket, url
        world.settings = ["--set", f"storage.uri={bucket}/results", "--set", f"database.url={url}"]
        world.run("plates_ann_v1", *world.settings)
        yield world
        shutil.rmtree(world.folder)


def outcome(world):
    """The weights of the models that were tested, and every metric of evaluate and test."""
    journal = world.journal(world.runs()[0]["run_id"])
    evaluated, tested = (json.loads(journal[step]["result"]) for step in ("evaluate", "test"))
    weights = {model["metric"]: weights_digest(model["uri"]) for model in evaluated["selections"]}
    return weights, [[model["metrics"] for model in result["models"]] for result in (evaluated, tested)]


def test_results_are_those_of_the_embedded_defaults(world, production):
    world.run("plates_ann_v1")
    assert outcome(production) == outcome(world)


def test_nothing_is_kept_on_this_machine_but_work(production):
    assert sorted(path.name for path in production.home.iterdir()) == ["settings.yaml", "work"]


def test_the_champion_is_in_the_database_and_its_file_in_the_bucket(production):
    database = open_database(production.url)
    assert [row.record.tag for row in database.versions()] == ["plates_ann_v1", "plates_train_v1"]
    champion = database.champion("plates", "EIR")
    database.close()
    storage, key = open_uri(champion.model.uri)
    assert champion.model.uri.startswith(f"{production.bucket}/results/")
    assert hashlib.sha256(storage.read_bytes(key)[0]).hexdigest() == champion.record.model_sha256
    assert "plates_train_v1" in production.sightline("model", "show", champion.model.uri)


def test_the_password_is_nowhere(production):
    secret = production.environment[PASSWORD_VARIABLE].encode()
    files = [path for path in production.folder.rglob("*") if path.is_file()]
    assert len(files) > 100
    assert [path for path in files if secret in path.read_bytes()] == []


def test_a_second_run_finds_everything(production):
    production.run("plates_ann_v1", *production.settings)
    journal = production.journal(production.runs()[-1]["run_id"])
    assert {journal[step]["state"] for step in ("record", "train", "evaluate", "test")} == {"reused"}
