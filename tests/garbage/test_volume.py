"""What of the work volume is garbage, and what never is."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from sightline.data.dvc.objects import hash_files
from sightline.data.git.commands import git
from sightline.data.repository.checkout import checked_out, checkout, use_lock
from sightline.data.workspace import Workspace
from sightline.database import Database
from sightline.errors import RepositoryError
from sightline.garbage.checkouts import Checkouts
from sightline.garbage.data_cache import DataCache
from sightline.garbage.found import SafetyAge, local_now
from sightline.garbage.volume import RunFolders, StepFolders
from sightline.lock import exclusive_lock, shared_lock
from tests.shapes_world import WEEK

TAG = "shapes_train_v1"


def only(world, kind, **options):
    return sorted(what for what, found in world.found(**options).items() if found == kind)


def place(kind, world, *collaborators):
    return kind(*collaborators, SafetyAge(local_now(), WEEK))


# Steps


@pytest.mark.parametrize(("step", "kind"), [("train", "training"), ("evaluate", "evaluation"), ("test", "test")])
def test_a_step_that_works_there_keeps_its_folder(world, step, kind):
    world.age()
    (folder,) = (path for path in (world.work / step).iterdir() if path.is_dir())
    with exclusive_lock(folder.with_name(f"{folder.name}.lock"), 0.0):
        done = world.sweep(delete=True)
    assert kind in {entry.kind for entry in done.garbage}
    assert kind not in {entry.kind for entry in done.removed}
    assert folder.is_dir()
    assert only(world, kind, delete=True) == [f"work/{step}/{folder.name}"]
    assert not folder.exists()


def test_a_folder_that_is_used_between_the_look_and_the_removal(world):
    world.age()
    found = place(StepFolders, world, world.work, world.storage())
    garbage = list(found.find())
    for entry in garbage:
        (Path(entry.what) / "new").touch()
    assert list(found.remove(garbage)) == []


def test_a_training_that_never_ended_stays(world):
    folder = world.work / "train" / "0123456789abcdef"
    world.plant(folder / "checkpoint.safetensors")
    world.age(of=folder)
    done = world.sweep(delete=True)
    assert done.garbage == []
    assert done.notes == [
        f"{folder} is a training that never ended, and stays: the command that began it goes on from there; "
        "remove the folder by hand if nobody will"
    ]
    assert (folder / "checkpoint.safetensors").exists()


# Runs


def test_runs_that_made_nothing_go_and_leave_the_index(world, finished):
    again = world.run()
    assert set(world.states(again).values()) == {"reused", "succeeded"}
    world.age()
    assert only(world, "run", delete=True) == [f"work/runs/{again}"]
    assert not (world.work / "runs" / again).exists()
    index = (world.work / "runs" / "index.html").read_text()
    assert finished[1] in index
    assert again not in index


def test_a_run_that_runs_or_that_is_another_databases_stays(world, finished):
    running, unknown, broken = (
        world.work / "runs" / name for name in ("20260101-running", "20260102-other", "20260103")
    )
    document = json.loads((world.work / "runs" / finished[1] / "run.json").read_text())
    for folder, state in ((running, "running"), (unknown, "failed"), (broken, "failed")):
        world.plant(folder / "run.json", json.dumps(document | {"run_id": folder.name, "state": state}).encode())
    (broken / "run.json").write_text("{")
    with closing(world.database()) as database:
        for folder in (running, broken):
            row = dataclasses.replace(database.runs()[0].record, run_id=folder.name)
            database.start_run(row)
    world.age()
    done = world.sweep()
    assert [entry for entry in done.garbage if entry.kind == "run"] == []
    assert [note for note in done.notes if "is a run that" in note] == [
        f"{unknown} is a run that sqlite:///{world.folder}/sightline.sqlite does not know, and stays",
        f"{broken} is a run that sqlite:///{world.folder}/sightline.sqlite does not know, and stays",
    ]


def test_a_run_that_made_a_champion_meanwhile_stays(world, monkeypatch):
    again = world.run()
    world.age()
    with closing(world.database()) as database:
        found = place(RunFolders, world, world.work, database)
        garbage = list(found.find())
        assert [Path(entry.what).name for entry in garbage] == [again]
        before = database.references()
        fruitful = dataclasses.replace(before, fruitful_runs=before.fruitful_runs | {again})
        monkeypatch.setattr(Database, "references", lambda self: fruitful)
        assert list(found.remove(garbage)) == []


# Leftovers


def test_what_killed_processes_left(world, tmp_path):
    temporary = tmp_path / "temporary"
    left = [
        world.work / "trash" / "old.1234" / "file",
        world.work / "checkouts" / "shapes_ann_v9-0123456789ab.part" / "file",
        world.work / "publish" / "shapes_train_v9.part" / "file",
        world.work / "dvc-cache" / "tmp" / "0123.part" / "file",
        world.work / "train" / "0123456789abcdef" / "files" / ".last.safetensors.1.part",
        world.work / "train" / "0123456789abcdef" / ".tmpAb12Cd",
        world.work / "runs" / ".index.html.77.part",
        world.work / "runs" / ".index.html.ab_d1234",
        temporary / "sightline-record-abcd1234" / "report.html",
        temporary / "sightline-git-abcd_234" / "gitconfig",
    ]
    for path in left:
        world.plant(path)
        world.age(of=path.parent)
    mine = world.plant(temporary / "sightline-my-project" / "file")
    world.age(of=temporary)
    found = [entry.what for entry in world.sweep(delete=True).removed]
    assert len(found) == len(left)
    assert not any(path.exists() for path in left)
    assert mine.exists()
    assert list((world.work / "trash").iterdir()) == []


@pytest.mark.parametrize("kind", ["git", "history", "init", "record", "remote"])
def test_the_temporary_folder_of_a_process_goes_when_the_process_has_ended(world, tmp_path, kind):
    """However long it works: an old folder of a running process stays."""
    code = (
        "import os, sys; from sightline.temporary_folder import temporary_folder as make;"
        f"folder = make('{kind}'); print(folder.name, flush=True); sys.stdin.read(); os._exit(1)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, env=environment, stdin=-1, stdout=-1, text=True) as process:
        folder = Path(process.stdout.readline().strip())
        world.age(of=folder)
        assert folder.parent == tmp_path / "temporary"
        assert only(world, "temporary") == []
        process.communicate("")
    (found,) = only(world, "temporary")
    assert found.endswith(folder.name)


def test_what_somebody_makes_at_this_moment_stays(world):
    part = world.work / "publish" / "shapes_train_v9.part"
    world.plant(part / "file")
    world.age(of=part)
    with exclusive_lock(part.parent / ".locks" / "shapes_train_v9", 0.0):
        assert world.sweep(delete=True).removed == []
    assert part.exists()


def test_a_part_of_a_folder_that_goes_as_a_whole_is_not_listed_twice(world):
    (folder,) = (path for path in (world.work / "train").iterdir() if path.is_dir())
    world.plant(folder / "files" / ".last.1.part")
    world.age()
    assert only(world, "temporary") == []


# Checkouts


def checkouts(world):
    return sorted(path.name for path in (world.work / "checkouts").iterdir() if not path.name.startswith("."))


def test_a_checkout_that_is_read_stays_and_its_use_makes_it_young(world):
    world.age()
    config = world.config()
    with checked_out(Workspace(config.data.repository, world.work), TAG):
        world.age(of=world.work / "checkouts")
        done = world.sweep(delete=True)
        assert [entry.kind for entry in done.garbage].count("checkout") == 2
        assert [entry.kind for entry in done.removed].count("checkout") == 1
    assert [name.rpartition("-")[0] for name in checkouts(world)] == [TAG]
    assert only(world, "checkout") == []


def test_a_checkout_that_vanishes_before_it_is_locked_is_made_again(world, monkeypatch):
    config = world.config()
    from sightline.data.repository import checkout as room

    removed = []

    def remove_once(path, timeout_seconds):
        if not removed:
            removed.append(shutil.rmtree(path.parent.parent / path.name))
        return shared_lock(path, timeout_seconds)

    monkeypatch.setattr(room, "shared_lock", remove_once)
    with checked_out(Workspace(config.data.repository, world.work), TAG) as found:
        assert (found.path / "training" / "shapes" / "train.json").is_file()
    assert removed


def test_a_checkout_made_again_from_the_cache_is_whole(world):
    config = world.config()
    before = checkout(Workspace(config.data.repository, world.work), TAG)
    files = [path.relative_to(before.path).as_posix() for path in (before.path / "annotations").rglob("*")]
    hashes = hash_files(before.path, files, 1, "hash")
    world.age()
    world.sweep(delete=True)
    assert not before.path.exists()
    shutil.move(world.folder / "remote", world.folder / "remote-away")
    (world.folder / "remote" / "training").mkdir(parents=True)
    shutil.copytree(world.folder / "remote-away", world.folder / "remote", dirs_exist_ok=True)
    after = checkout(Workspace(config.data.repository, world.work), TAG)
    assert hash_files(after.path, files, 1, "hash") == hashes


def forget_tag(world):
    git("tag", "--delete", TAG, cwd=world.folder / "data", timeout_seconds=60)


def test_a_registered_version_whose_tag_is_gone_stays(world):
    forget_tag(world)
    world.age()
    done = world.sweep(delete=True)
    assert [name.rpartition("-")[0] for name in checkouts(world)] == [TAG]
    (note,) = done.notes
    assert f"has no {TAG} at commit" in note
    assert "this may be the only copy" in note
    assert [entry for entry in done.garbage if entry.kind == "cache entry"] == []


def test_what_neither_repository_nor_database_knows_goes(world):
    (known,) = (world.work / "checkouts").glob(f"{TAG}-*")
    strange = known.with_name("shapes_train_v0-0123456789ab")
    shutil.copytree(known, strange, symlinks=True)
    world.age()
    reasons = {Path(entry.what).name: entry.reason for entry in world.sweep(delete=True).removed}
    assert reasons[strange.name] == "neither the data repository nor the database knows shapes_train_v0 at that commit"


def test_a_checkout_of_another_repository_stays(world):
    for path in (world.work / "checkouts").glob("shapes_*"):
        git("config", "remote.origin.url", "ssh://elsewhere/data", cwd=path, timeout_seconds=60)
    world.age()
    before = checkouts(world)
    done = world.sweep(delete=True)
    assert checkouts(world) == before
    assert all("is a checkout of another data repository" in note for note in done.notes)


def test_what_is_no_checkout_stays(world):
    planted = [world.plant(world.work / "checkouts" / name / "file") for name in ("mine", "notes-0123456789ab")]
    world.age()
    world.sweep(delete=True)
    assert all(path.exists() for path in planted)


def test_a_data_repository_that_cannot_be_reached_stops_it(world):
    world.age()
    shutil.move(world.folder / "data", world.folder / "away")
    with pytest.raises(RepositoryError, match=r"no such data repository"):
        world.sweep(delete=True)
    assert len(checkouts(world)) == 2


def test_a_checkout_used_between_the_look_and_the_removal_stays(world):
    world.age()
    with closing(world.database()) as database:
        found = place(Checkouts, world, world.config(), database)
        garbage = list(found.find())
        with checked_out(Workspace(world.config().data.repository, world.work), TAG):
            pass
        assert [Path(entry.what).name.rpartition("-")[0] for entry in found.remove(garbage)] == ["shapes_ann_v1"]


# The DVC cache


def objects(world):
    return {path for path in (world.work / "dvc-cache" / "files" / "md5").glob("??/*") if path.is_file()}


def plant_object(world, name="ab" * 16, days=30.0):
    return world.plant(world.work / "dvc-cache" / "files" / "md5" / name[:2] / name[2:], days=days)


def test_objects_that_nothing_names_go_and_all_others_stay(world):
    needed = objects(world)
    planted = [plant_object(world), plant_object(world, "cd" * 16 + ".dir")]
    young = plant_object(world, "ef" * 16)
    world.age(of=world.work / "dvc-cache")
    os.utime(young)
    assert len(only(world, "cache entry", delete=True)) == 2
    assert not any(path.exists() for path in planted)
    assert objects(world) == needed | {young}


def test_the_lists_of_files_may_lie_on_the_remote_alone(world):
    needed = objects(world)
    for path in needed:
        if path.suffix == ".dir":
            path.unlink()
    for path in (world.work / "checkouts").glob("shapes_*"):
        shutil.rmtree(path)
    planted = plant_object(world)
    world.age(of=world.work / "dvc-cache")
    assert only(world, "cache entry", delete=True) == [planted.relative_to(world.folder).as_posix()]
    assert objects(world) == {path for path in needed if path.suffix != ".dir"}


def test_a_list_that_is_nowhere_keeps_the_cache(world):
    for path in [*objects(world), *(world.folder / "remote" / "training").rglob("*.dir")]:
        if path.suffix == ".dir":
            path.unlink()
    before = objects(world) | {plant_object(world)}
    world.age(of=world.work / "dvc-cache")
    done = world.sweep(delete=True)
    assert objects(world) == before
    assert len([note for note in done.notes if "stays, as nobody can say what it needs" in note]) == 1


def test_a_checkout_alone_keeps_its_objects(world):
    needed = objects(world)
    forget_tag(world)
    for path in (world.folder / "sightline.sqlite", world.folder / "bucket", world.folder / "work" / "runs"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    world.database().close()
    world.age(of=world.work / "dvc-cache")
    assert only(world, "cache entry", delete=True) == []
    assert objects(world) == needed


def test_while_somebody_uses_the_cache_all_of_it_stays(world):
    planted = plant_object(world)
    with shared_lock(Workspace("", world.work).cache_lock, 0.0):
        assert world.sweep(delete=True).removed == []
    assert planted.exists()


def test_a_tag_that_is_published_between_the_look_and_the_removal_keeps_its_objects(world, monkeypatch):
    planted = plant_object(world)
    with closing(world.database()) as database:
        found = place(DataCache, world, world.config(), database)
        garbage = list(found.find())
        assert [Path(entry.what) for entry in garbage] == [planted]
        monkeypatch.setattr(found, "_of_checkouts", lambda: ["ab" * 16])
        assert list(found.remove(garbage)) == []


# Alone


def test_one_gc_at_a_time(world):
    with (
        exclusive_lock(world.work / "gc.lock", 0.0),
        pytest.raises(RepositoryError, match="another process is still working"),
    ):
        world.sweep(delete=True)


def test_without_a_work_volume_the_bucket_is_looked_through(world, tmp_path):
    config = world.config(f"work.dir={tmp_path / 'none'}")
    assert world.sweep(config=config).garbage == []
    assert not (tmp_path / "none").exists()


def test_locks_are_shared_by_readers_alone(tmp_path):
    lock = use_lock(tmp_path / "checkouts" / "x")
    with shared_lock(lock, 0.0), shared_lock(lock, 0.0), pytest.raises(RepositoryError):  # noqa: SIM117
        with exclusive_lock(lock, 0.0):
            pass
    with exclusive_lock(lock, 0.0), pytest.raises(RepositoryError), shared_lock(lock, 0.0):
        pass
