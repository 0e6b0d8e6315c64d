"""Where things come from, asked of both engines."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from sightline.database import ModelUse, Named, RunChoice, open_database
from sightline.errors import DatabaseError, UnknownNameError
from tests import lineage_story as story
from tests.database.plans import scans, statements
from tests.golden import raises
from tests.lineage_story import BEST1, BEST2, LAST1, LAST2, R1, R2, R3


@pytest.fixture
def told(database):
    story.tell(database)
    return database


def trace(database, name):
    return database.lineage(database.named(name))


def tags(versions):
    return [version.row.record.tag for version in versions]


def run_ids(lineage):
    return [run.record.run_id for run in lineage.runs]


def models(lineage):
    return {model.record.sha256 for model in lineage.models}


def uses(model, run_id):
    return sorted((one.use.role, one.use.metric) for one in model.uses if one.run_id == run_id)


def test_a_model_leads_back_to_its_labels_and_on_to_its_promotions(told):
    found = trace(told, BEST1)
    assert (tags(found.annotations), tags(found.training_sets)) == (["plates_ann_v1"], ["plates_train_v1"])
    assert found.training_sets[0].images_per_split == {"train": 6, "val": 2, "test": 2}
    assert list(found.training_sets[0].images_per_split) == ["train", "val", "test"]
    assert found.annotations[0].images_per_split == {}
    assert run_ids(found) == [R3, R2, R1]
    (model,) = found.models
    assert model.record.run_id == R1
    assert [(scores.dataset_tag, scores.split) for scores in model.scores] == [
        ("plates_train_v1", "val"),
        ("plates_train_v1", "test"),
        ("plates_train_v2", "val"),
    ]
    assert model.scores[2].values == {"mask_AP": 0.5, "EIR": 0.9}
    assert uses(model, R1) == [("best", ""), ("selected", "EIR"), ("selected", "mask_AP"), ("tested", "")]
    assert uses(model, R3) == [("champion", ""), ("selected", "EIR")]
    promotions = {(one.metric, one.sequence): one for one in found.promotions}
    assert promotions["EIR", 1].replaced_by is None
    assert promotions["mask_AP", 1].replaced_by == BEST2
    assert promotions["mask_AP", 1].replaced_at == promotions["mask_AP", 2].promoted_at
    assert (promotions["mask_AP", 2].model_sha256, promotions["mask_AP", 2].previous_sha256) == (BEST2, BEST1)


def test_a_run_that_found_its_work_finished_is_connected_with_it(told):
    found = trace(told, R2)
    assert models(found) == {BEST1, LAST1}
    assert tags(found.training_sets) == ["plates_train_v1"]
    assert {model.record.run_id for model in found.models} == {R1}
    assert run_ids(found) == [R2]


def test_a_run_shows_its_own_data_and_the_champion_that_it_kept(told):
    found = trace(told, R3)
    assert (tags(found.annotations), tags(found.training_sets)) == (["plates_ann_v2"], ["plates_train_v2"])
    assert models(found) == {BEST1, BEST2, LAST2}
    assert found.runs[0].message.startswith("test: test.images")


def test_a_training_tag_leads_to_its_models_and_to_the_champion_measured_on_it(told):
    found = trace(told, "plates_train_v2")
    assert tags(found.annotations) == ["plates_ann_v2"]
    assert models(found) == {BEST2, LAST2, BEST1}
    assert run_ids(found) == [R3]
    first = trace(told, "plates_train_v1")
    assert models(first) == {BEST1, LAST1}
    assert run_ids(first) == [R3, R2, R1]  # R3 measured and kept a model of v1


def test_an_annotation_tag_leads_to_all_that_was_made_from_it(told):
    assert models(trace(told, "plates_ann_v1")) == {BEST1, LAST1}
    assert tags(trace(told, "plates_ann_v2").training_sets) == ["plates_train_v2"]
    story.register(told, "signs", "v1", (1, 1, 1))
    lonely = trace(told, "signs_ann_v1")
    assert (lonely.models, lonely.runs, lonely.promotions) == ([], [], [])
    assert tags(lonely.training_sets) == ["signs_train_v1"]


STORY_RUNS = [R3, R2, R1]


@pytest.mark.parametrize(
    ("state", "message", "overrides", "uses"),
    [
        ("failed", "record: plates_train_v1 is there already, made in another way", ["data.classes=[other]"], False),
        ("failed", "record: the data repository cannot be reached", [], False),
        ("failed", "resolve: data.repository: no such folder", [], False),
        ("failed", "train: no room on the GPU", [], True),
        ("failed", "train: no room on the GPU", ["data.max_pixels=1000"], True),  # recorded by an earlier release
        ("interrupted", "stopped by hand", [], True),
        ("interrupted", "stopped by hand", ["data.classes=[other]"], False),
        ("running", "", ["data.jobs=3", "train.iterations=7"], True),
        ("running", "", ["data.max_pixels=1000"], False),
    ],
)
def test_a_training_set_shows_the_runs_that_used_it_and_no_others(told, state, message, overrides, uses):
    story.start(told, "r9", "plates_ann_v1", overrides)
    if state != "running":
        told.finish_run("r9", state, message)
    assert run_ids(trace(told, "plates_train_v1")) == ["r9"] * uses + STORY_RUNS
    assert trace(told, "plates_train_v1").used.get("r9", []) == ["plates_train_v1"] * uses
    assert tags(trace(told, "r9").training_sets) == ["plates_train_v1"] * uses
    assert tags(trace(told, "r9").annotations) == ["plates_ann_v1"]
    assert "r9" in run_ids(trace(told, "plates_ann_v1"))


def test_a_run_that_ended_before_the_training_set_was_registered_did_not_use_it(database):
    story.start(database, "r0", "plates_ann_v1", [])
    database.finish_run("r0", "failed", "train: the training set was removed later")
    story.tell(database)
    assert run_ids(trace(database, "plates_train_v1")) == STORY_RUNS
    assert trace(database, "r0").training_sets == []


def test_names(told):
    assert told.named(BEST1) == told.named(BEST1[:6]) == told.named(BEST1[:8].upper()) == Named("model", BEST1)
    assert told.named(told.model(BEST1).uri) == Named("model", BEST1)
    assert told.named(R1) == told.named(R1[:12]) == Named("run", R1)
    assert told.named("plates_ann_v1") == Named("annotations", "plates_ann_v1")
    assert told.named("plates_train_v1") == Named("training", "plates_train_v1")


def test_a_tag_that_only_runs_and_models_speak_of_is_known(told):
    story.start(told, "r9", "cats_ann_v1", [])
    story.offer(told, "r9", "v9", {"best": (story.sha("x"), 0.1, 0.2)})
    assert told.named("cats_ann_v1") == Named("annotations", "cats_ann_v1")
    assert run_ids(trace(told, "cats_ann_v1")) == ["r9"]
    found = trace(told, "plates_train_v9")
    assert (models(found), found.training_sets) == ({story.sha("x")}, [])


@pytest.mark.parametrize("name", ["2026", "plates_train_v3", "PLATES_TRAIN_V1", BEST1[:5], "", "%", "plates_train_v"])
def test_names_that_name_nothing_or_several(told, name):
    with raises(UnknownNameError, f"'{name}'"):
        told.named(name)


def test_a_name_that_is_no_unicode_is_unknown(told):
    with pytest.raises(UnknownNameError):
        told.named("\udcff")


def test_a_name_of_another_kind(told):
    with raises(UnknownNameError, "plates_train_v1", R3, R2, R1):
        told.named("plates_train_v1", ["run"])


def test_an_empty_database_says_so(database):
    with raises(UnknownNameError, "x"):
        database.named("x")


def test_what_runs_selected(told):
    assert told.selections(told.runs()) == {
        R1: {"mask_AP": RunChoice(BEST1, 0.51), "EIR": RunChoice(BEST1, 0.92)},
        R2: {"mask_AP": RunChoice(BEST1, 0.51), "EIR": RunChoice(BEST1, 0.92)},
        R3: {"mask_AP": RunChoice(BEST2, 0.62), "EIR": RunChoice(BEST2, 0.88, BEST1, 0.9)},
    }


def test_uses_are_recorded_once_and_a_new_selection_replaces_the_old(told):
    before = trace(told, R2)
    told.record_uses(R2, [ModelUse(BEST1, "best"), ModelUse(BEST1, "best")])
    assert trace(told, R2) == before
    told.record_uses(R2, [ModelUse(LAST1, "selected", "EIR")])
    assert told.selections(told.runs())[R2] == {"mask_AP": RunChoice(BEST1, 0.51), "EIR": RunChoice(LAST1, 0.90)}
    with raises(DatabaseError):
        told.record_uses(R2, [ModelUse(LAST1, "tested"), ModelUse("f" * 64, "tested")])
    assert ("tested", "") not in [
        key for model in trace(told, R2).models for key in uses(model, R2) if model.record.sha256 == LAST1
    ]


def test_of_many_models_and_runs_the_newest_are_told(told, monkeypatch):
    monkeypatch.setattr("sightline.database.queries.lineage.SHOWN_MODELS", 3)
    monkeypatch.setattr("sightline.database.queries.lineage.SHOWN_RUNS", 2)
    for number in range(5):
        story.start(told, f"many-{number}", "plates_ann_v2", [])
        story.offer(told, f"many-{number}", "v2", {"best": (story.sha(f"many{number}"), 0.1, 0.2)})
    found = trace(told, "plates_train_v2")
    own = [model.record for model in found.models if model.record.training_tag == "plates_train_v2"]
    assert [model.run_id for model in own] == ["many-4", "many-3", "many-2"]
    assert run_ids(found) == ["many-4", "many-3"]
    assert (found.hidden_models, found.hidden_runs) == (4, 4)


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def crowded(request, tmp_path_factory):
    """A database that is large enough for an engine to prefer an index, and whose statistics are up to date."""
    from sightline.database.engine.connection import connect
    from sightline.database.schema.upgrade import upgrade
    from tests.lineage_crowd import fill
    from tests.servers.mariadb import new_database

    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('crowd')}/x.sqlite"
        engine = connect(url)
        upgrade(engine)
        fill(engine, versions=200, images=2_000, runs=600)
        engine.dispose()
        yield url
        return
    with new_database(request.getfixturevalue("mariadb_server")) as url:
        engine = connect(url)
        upgrade(engine)
        fill(engine, versions=200, images=2_000, runs=600)
        engine.dispose()
        yield url


@pytest.mark.parametrize("ask", ["plates_ann_v77", "plates_train_v77", "run-00333", "model", "selections", "unknown"])
def test_every_query_uses_an_index(crowded, ask):
    from tests.lineage_crowd import model_sha

    database = open_database(crowded)

    def work(database):
        if ask == "selections":
            database.selections(database.runs(20))
        elif ask == "unknown":
            with pytest.raises(UnknownNameError):
                database.named("plates_train_v0x")
        else:
            lineage = trace(database, model_sha(333)[:8] if ask == "model" else ask)
            assert lineage.models
            assert lineage.runs
            assert lineage.training_sets

    with statements(database._engine) as found:
        work(database)
    assert found
    # There are a thousand versions of a few hundred bytes each: the list of near names reads them all.
    allowed = {"dataset_versions"} if ask == "unknown" else set()
    for statement, parameters in found:
        assert scans(database._engine, statement, parameters) <= allowed, statement
    database.close()


def test_a_database_that_was_made_before_is_filled_with_what_it_knows(own_url):
    """Forget the last migration and what came with it, then upgrade."""
    from sightline.database.engine.connection import connect
    from sightline.database.schema.upgrade import upgrade

    database = open_database(own_url)
    story.tell(database)
    before = trace(database, "plates_train_v2").training_sets
    database.close()
    engine = connect(own_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0010'"))
        connection.execute(text("DELETE FROM split_counts"))
        connection.execute(text("DELETE FROM run_models"))
    upgrade(engine)
    engine.dispose()
    database = open_database(own_url)
    assert trace(database, "plates_train_v2").training_sets == before
    by_run = {model.record.sha256: uses(model, R3) for model in trace(database, R3).models}
    assert by_run == {BEST2: [("candidate", ""), ("selected", "mask_AP")], LAST2: [("candidate", "")]}
    database.close()
