"""Versions of one dataset recorded at once, removed and recorded again: no image is ever on two sides."""

import json
import threading
from pathlib import Path

import pytest

from sightline.data.git import commands
from sightline.data.git.decisions import OutpacedError, decision_reference, last_decision
from sightline.data.repository.history import list_tags, open_history
from sightline.data.repository.removal import remove_version
from sightline.data.tags import DatasetTag
from sightline.errors import RepositoryError, UnknownTagError
from sightline.steps import record
from tests.golden import raises
from tests.labelled_folder import names, write_images
from tests.servers.git_http import GitServer
from tests.steps.test_record import CODE, World, make_world

SPLITS = "data.splits={train: 0.5, val: 0.25, test: 0.25}"


def sides(world: World) -> dict[str, dict[str, str]]:
    """Training tag -> image -> its side."""
    tags = [DatasetTag.parse(tag) for tag in world.tags() if "_train_" in tag]
    with open_history(str(world.repository), tags, 60) as history:
        documents = {str(tag): json.loads(history.read(tag, "dataset.json")) for tag in tags}
    return {
        tag: {image["sha256"]: image["split"] for image in document["images"]} for tag, document in documents.items()
    }


def contradictions(found: dict[str, dict[str, str]]) -> set[str]:
    """Images that two training sets have on different sides."""
    every = {sha256 for images in found.values() for sha256 in images}
    return {name for name in every if len({images[name] for images in found.values() if name in images}) > 1}


def make_versions(folder, *counts: int) -> World:
    world = make_world(folder, 0)
    for number, count in enumerate(counts, start=1):
        write_images(world.photos, names(count))
        world.add(f"pets_ann_v{number}")
    return world


def forget(world: World, *tags: str) -> None:
    for tag in tags:
        commands.git("tag", "--delete", tag, cwd=world.repository, timeout_seconds=60)
    commands.git("update-ref", "-d", decision_reference("pets"), cwd=world.repository, timeout_seconds=60)
    world.forget_results()


def test_a_version_that_is_recorded_meanwhile_is_seen(tmp_path, monkeypatch):
    world = make_versions(tmp_path / "world", 8, 20)
    alone = {}
    for tag in ("v1", "v2"):
        world.run(f"pets_ann_{tag}", SPLITS)
        alone |= sides(world)
        forget(world, f"pets_train_{tag}")
    assert contradictions(alone)  # or this test would show nothing
    real = record.build_training_set

    def slow(*arguments):
        monkeypatch.setattr(record, "build_training_set", real)
        built = real(*arguments)
        World.run(world, "pets_ann_v1", SPLITS, f"work.dir={tmp_path / 'other'}")
        return built

    monkeypatch.setattr(record, "build_training_set", slow)
    world.run("pets_ann_v2", SPLITS)
    found = sides(world)
    assert sorted(found) == ["pets_train_v1", "pets_train_v2"]
    assert not contradictions(found)
    assert found["pets_train_v1"] == alone["pets_train_v1"]


def test_four_versions_at_once(tmp_path):
    world = make_versions(tmp_path / "world", 6, 8, 12, 16)
    configs = [world.config(f"pets_ann_v{n}", SPLITS, f"work.dir={tmp_path / str(n)}") for n in range(1, 5)]
    faults = []

    def work(config):
        try:
            record.run(config, CODE)
        except Exception as error:  # noqa: BLE001  (shown below)
            faults.append(error)

    threads = [threading.Thread(target=work, args=(config,)) for config in configs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    found = sides(world)
    assert len(found) == 4
    assert not contradictions(found)
    assert {row.tag for row, _, _ in world.rows()} == set(world.tags())


@pytest.mark.parametrize("place", ["bare", "http"])
def test_a_server_keeps_the_order_too(tmp_path, place, monkeypatch):
    world = make_versions(tmp_path / "world", 6, 12)
    monkeypatch.setenv("SIGHTLINE_GIT_TOKEN", "token")
    (tmp_path / "served").mkdir()
    with GitServer(tmp_path / "served", "token").running() as server:
        url = server.add("data.git", world.repository)
        world.repository = url if place == "http" else tmp_path / "served" / "data.git"
        stale = last_decision(str(world.repository), "pets", 60)
        world.run("pets_ann_v1", SPLITS)
        assert stale != last_decision(str(world.repository), "pets", 60)
        real, asked = record.earlier_versions, []

        def late(*arguments):
            """The first answer is one of before v1 was recorded."""
            asked.append(arguments)
            found = real(*arguments)
            return type(found)([], [], None, stale) if len(asked) == 1 else found

        monkeypatch.setattr(record, "earlier_versions", late)
        world.run("pets_ann_v2", SPLITS)
        assert len(asked) == 2
        assert not contradictions(sides(world))


def test_tags_of_earlier_releases_count_though_they_moved_no_reference(tmp_path):
    world = make_versions(tmp_path / "world", 6, 12)
    world.run("pets_ann_v1", SPLITS)
    commands.git("update-ref", "-d", decision_reference("pets"), cwd=world.repository, timeout_seconds=60)
    world.run("pets_ann_v2", SPLITS)
    assert not contradictions(sides(world))
    assert last_decision(str(world.repository), "pets", 60)


def test_a_decision_whose_tag_never_came_hinders_nobody(tmp_path):
    """The server was killed after it moved the reference and before it set the tag."""
    world = make_versions(tmp_path / "world", 6)
    first = world.run("pets_ann_v1", SPLITS)
    commands.git("tag", "--delete", "pets_train_v1", cwd=world.repository, timeout_seconds=60)
    again = world.run("pets_ann_v1", SPLITS)
    assert again.training_commit == first.training_commit == world.tags()["pets_train_v1"]


def test_a_dataset_that_never_rests_is_given_up(tmp_path, monkeypatch):
    world = make_versions(tmp_path / "world", 6)

    def outpaced(*_, **__):
        raise OutpacedError("refs/sightline/pets_versions names another object")

    monkeypatch.setattr(record, "publish_training_tag", outpaced)
    with raises(RepositoryError):
        world.run("pets_ann_v1", SPLITS, "data.timeout_seconds=2")


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """v1 recorded with wrong settings, v2 after it, then v1 removed and recorded again."""
    world = make_versions(tmp_path_factory.mktemp("twice"), 10, 16)
    wrong = world.run("pets_ann_v1", "data.splits={train: 0.9, val: 0.1, test: 0}")
    second = world.run("pets_ann_v2", SPLITS)
    before = sides(world)
    removed = remove_version(str(world.repository), DatasetTag.parse("pets_train_v1"), "wrong splits")
    with pytest.raises(UnknownTagError):  # no golden text: whichever test comes first makes the fixture
        open_history(str(world.repository), [DatasetTag.parse("pets_train_v1")], 60).__enter__()
    right = world.run("pets_ann_v1", "data.splits={train: 0.6, val: 0.4, test: 0}")
    return world, before, wrong, second, removed, right


def test_a_removed_training_set_is_recorded_again_with_other_settings(twice):
    world, before, wrong, second, removed, right = twice
    assert removed.tombstone.commit == wrong.training_commit != right.training_commit
    assert world.tags()["pets_train_v1"] == right.training_commit
    assert world.tags()["pets_train_v2"] == second.training_commit
    rows = {row.tag: row for row, _, _ in world.rows()}
    assert sorted(rows) == ["pets_ann_v1", "pets_ann_v2", "pets_train_v1", "pets_train_v2"]
    assert rows["pets_train_v1"].commit == right.training_commit
    after = sides(world)
    assert not contradictions(after)  # v2 kept sides that v1 had given, and v1 keeps those of v2
    assert after["pets_train_v2"] == before["pets_train_v2"]


def test_what_used_the_removed_commit_is_told(twice):
    from sightline.evaluation.inference import training_set_on_disk

    world, _, wrong, _, _, _ = twice
    with (
        raises(RepositoryError, wrong.training_commit),
        training_set_on_disk(world.config("pets_ann_v1", SPLITS), "pets_train_v1", wrong.training_commit),
    ):
        pass


def test_the_sides_of_a_removed_set_bind_nobody(tmp_path):
    world = make_versions(tmp_path / "world", 10)
    everything_in_train = "data.splits={train: 0.9, val: 0.1, test: 0}"
    world.run("pets_ann_v1", everything_in_train)
    remove_version(str(world.repository), DatasetTag.parse("pets_train_v1"), "")
    again = world.run("pets_ann_v1", "data.splits={train: 0.4, val: 0.3, test: 0.3}")
    assert again.images == {"train": 4, "val": 3, "test": 3}
    # The same settings as at first, in the place of the second: a commit of its own again.
    remove_version(str(world.repository), DatasetTag.parse("pets_train_v1"), "")
    third = world.run("pets_ann_v1", everything_in_train)
    assert third.images == {"train": 9, "val": 1, "test": 0}
    assert world.tags()["pets_train_v1"] == third.training_commit


def test_annotations_that_are_removed_meanwhile_are_not_recorded(tmp_path, monkeypatch):
    world = make_versions(tmp_path / "world", 6)
    real = record.build_training_set

    def slow(*arguments):
        remove_version(str(world.repository), DatasetTag.parse("pets_ann_v1"), "wrong camera")
        return real(*arguments)

    monkeypatch.setattr(record, "build_training_set", slow)
    with raises(UnknownTagError, "pets_ann_v1"):
        world.run("pets_ann_v1", SPLITS)
    assert world.tags() == {}
    monkeypatch.setattr(record, "build_training_set", real)
    world.add("pets_ann_v1")
    result = world.run("pets_ann_v1", SPLITS)
    assert result.annotation_commit == world.tags()["pets_ann_v1"]


def test_annotations_that_came_back_are_recorded_over_their_old_row(tmp_path):
    world = make_versions(tmp_path / "world", 6)
    first = world.run("pets_ann_v1", SPLITS)
    for tag in ("pets_train_v1", "pets_ann_v1"):
        remove_version(str(world.repository), DatasetTag.parse(tag), "")
    with raises(UnknownTagError):
        world.run("pets_ann_v1", SPLITS)
    world.add("pets_ann_v1")
    again = world.run("pets_ann_v1", SPLITS)
    assert again.annotation_commit != first.annotation_commit
    assert [row.commit for row, _, _ in world.rows()] == [again.annotation_commit, again.training_commit]
    assert world.run("pets_ann_v1", SPLITS) == again


def clone_of(world: World, path: Path, *options: str) -> World:
    """Somebody else's world: a clone with a work folder, a bucket and a database of its own."""
    commands.git("clone", "--quiet", *options, world.repository.as_uri(), str(path), timeout_seconds=60)
    other = World(path.with_name(f"{path.name} of somebody"))
    other.folder.mkdir()
    other.repository = path
    return other


@pytest.mark.parametrize("spelling", ["path", "URL"])
def test_a_shallow_clone_keeps_the_sides_that_its_origin_knows(tmp_path, spelling):
    world = make_versions(tmp_path / "world", 8, 12)
    world.run("pets_ann_v1", SPLITS)
    other = clone_of(world, tmp_path / "one deep", "--depth", "1", "--branch", "pets_ann_v2")
    clone = other.repository
    other.repository = clone.as_uri() if spelling == "URL" else clone
    other.run("pets_ann_v2", SPLITS)
    found = sides(world)
    assert set(found) == {"pets_train_v1", "pets_train_v2"}
    assert not contradictions(found)
    assert list_tags(str(clone), 60) == world.tags()


def test_two_clones_that_never_exchange_tags_agree(tmp_path):
    world = make_versions(tmp_path / "world", 8, 20)
    jane, john = (clone_of(world, tmp_path / name) for name in ("jane", "john"))
    jane.run("pets_ann_v1", SPLITS)
    john.run("pets_ann_v2", SPLITS)
    found = sides(world)
    assert set(found) == {"pets_train_v1", "pets_train_v2"}
    assert not contradictions(found)
    assert set(jane.tags()) == {"pets_ann_v1", "pets_ann_v2", "pets_train_v1"}
    assert john.tags() == world.tags()
    assert jane.run("pets_ann_v2", SPLITS).training_commit == world.tags()["pets_train_v2"]
    assert jane.tags() == world.tags()


def test_a_record_that_was_killed_before_the_clone_followed_is_completed(tmp_path, monkeypatch):
    world = make_versions(tmp_path / "world", 8)
    jane = clone_of(world, tmp_path / "jane")
    with monkeypatch.context() as patch:
        patch.setattr(record, "follow", interrupt)
        with pytest.raises(KeyboardInterrupt):
            jane.run("pets_ann_v1", SPLITS)
    assert "pets_train_v1" not in jane.tags()
    published = world.tags()
    assert jane.run("pets_ann_v1", SPLITS).training_commit == published["pets_train_v1"]
    assert jane.tags() == world.tags() == published


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_clone_follows_what_was_removed_and_recorded_again(tmp_path):
    world = make_versions(tmp_path / "world", 8)
    jane = clone_of(world, tmp_path / "jane")
    before = jane.run("pets_ann_v1", SPLITS)
    remove_version(str(world.repository), DatasetTag.parse("pets_train_v1"), "wrong splits")
    after = jane.run("pets_ann_v1", "data.splits={train: 0.7, val: 0.2, test: 0.1}")
    assert after.training_commit != before.training_commit
    assert jane.tags() == world.tags()


@pytest.mark.parametrize("tag", ["pets_ann_v9", "pets_train_v9"])
def test_a_version_that_only_the_clone_has_is_refused_with_the_command_that_publishes_it(tmp_path, tag):
    world = make_versions(tmp_path / "world", 8)
    jane = clone_of(world, tmp_path / "my clone")
    commands.git("tag", tag, "pets_ann_v1", cwd=jane.repository, timeout_seconds=60)
    remedy = f"git -C '{jane.repository}' push origin {tag}"
    with pytest.raises(RepositoryError) as caught:
        jane.run("pets_ann_v1", SPLITS)
    assert remedy in str(caught.value)
    assert "pets_train_v1" not in world.tags()
    commands.git(*remedy.split("' ")[1].split(), cwd=jane.repository, timeout_seconds=60)
    assert tag in world.tags()


def test_a_version_that_differs_in_the_clone_is_refused(tmp_path):
    world = make_versions(tmp_path / "world", 8, 12)
    jane = clone_of(world, tmp_path / "jane")
    commands.git("tag", "--force", "pets_ann_v2", "pets_ann_v1", cwd=jane.repository, timeout_seconds=60)
    with raises(RepositoryError, "--delete", "pets_ann_v2"):
        jane.run("pets_ann_v1", SPLITS)
    assert "pets_train_v1" not in world.tags()


def test_a_clone_whose_origin_cannot_be_asked_is_refused_until_it_is_made_independent(tmp_path):
    world = make_versions(tmp_path / "world", 8)
    jane = clone_of(world, tmp_path / "jane")
    commands.git("remote", "set-url", "origin", str(tmp_path / "gone"), cwd=jane.repository, timeout_seconds=60)
    with pytest.raises(RepositoryError) as caught:
        jane.run("pets_ann_v1", SPLITS)
    assert f"git -C {jane.repository} remote remove origin" in str(caught.value)
    commands.git("remote", "remove", "origin", cwd=jane.repository, timeout_seconds=60)
    jane.run("pets_ann_v1", SPLITS)
    assert "pets_train_v1" in jane.tags()
