"""Cross-validation: one training set, a training for each fold, and champions that stay as they are."""

import json
from contextlib import closing

import pytest
from click.testing import CliRunner

from sightline.cli import cli
from sightline.config.data import Data, Splits
from sightline.config.digest import config_digest
from sightline.config.schema import Config, Database, Evaluate, Storage, Work
from sightline.data.recording.training_set import from_bytes
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.repository.history import open_history
from sightline.data.tags import DatasetTag
from sightline.database import RunRecord, open_database
from sightline.registry.champions import look_up_champion
from sightline.steps import evaluate, promote, record, train
from sightline.storage.uris import open_storage
from tests.squares import CLASSES, TINY_MODEL, TINY_TRAIN, write_labelme

CODE = "code"
FOLDS = 3


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Everything a run needs, and the results of a run for each fold and of one without."""
    folder = tmp_path_factory.mktemp("folds")
    init_repository(folder / "data", str(folder / "remote"))
    write_labelme(folder / "shapes", 16)
    add_annotations(folder / "data", folder / "shapes", DatasetTag.parse("shapes_ann_v1"))
    results = {}
    for fold in (0, *range(1, FOLDS + 1)):
        config = configuration(folder, fold)
        with pytest.MonkeyPatch.context() as patch, closing(open_database(config.database.url)) as database:
            patch.setenv("SIGHTLINE_RUN_ID", f"run-{fold}")
            database.start_run(
                RunRecord(f"run-{fold}", "shapes", config.model_dump_json(), "digest", "shapes_ann_v1", "0.1.0")
            )
            recorded = record.run(config, CODE)
            trained = train.run(config, CODE, recorded)
            decided = promote.run(config, CODE, trained) if evaluate.run(config, CODE, trained) else None
            results[fold] = config, recorded, trained, decided
    return folder, results


def configuration(folder, fold):
    return Config(
        recipe="shapes",
        data=Data(
            tag="shapes_ann_v1",
            repository=str(folder / "data"),
            classes=CLASSES,
            splits=Splits(train=0.5, val=0.25, test=0.25),
            near_duplicate_distance=0,
            folds=FOLDS,
            fold=fold,
        ),
        model=TINY_MODEL,
        train=TINY_TRAIN,
        evaluate=Evaluate(select_by=("box_AP",), minimum=0.0),
        storage=Storage(uri=str(folder / "bucket")),
        database=Database(url=f"sqlite:///{folder / 'sightline.sqlite'}"),
        work=Work(dir=str(folder / "work")),
    )


def test_all_folds_share_one_training_set_with_every_image_in_a_fold(site):
    folder, results = site
    assert len({recorded.training_commit for _, recorded, _, _ in results.values()}) == 1
    tag = DatasetTag.parse("shapes_train_v1")
    with open_history(str(folder / "data"), [tag], 60.0) as history:
        images = from_bytes(history.read(tag, "dataset.json"), "dataset.json").images
    assert {image.fold for image in images if image.split == "test"} == {0}
    assert {image.fold for image in images if image.split != "test"} == {1, 2, 3}


def test_each_fold_is_a_training_of_its_own(site):
    _, results = site
    for step in ("train", "evaluate", "test"):
        assert len({config_digest(step, config) for config, *_ in results.values()}) == FOLDS + 1
    assert len({config_digest("record", config) for config, *_ in results.values()}) == 1
    models = {trained.candidates[0].sha256 for _, _, trained, _ in results.values()}
    assert len(models) == FOLDS + 1


def test_runs_with_a_fold_change_no_champion(site):
    _, results = site
    config, _, trained, decided = results[0]
    champion = look_up_champion(open_storage(config.storage.uri), "shapes", "box_AP", config.task)
    assert decided.selections[0].promoted
    assert champion.sha256 == decided.selections[0].sha256
    for fold in range(1, FOLDS + 1):
        _, _, trained, decided = results[fold]
        (selection,) = decided.selections
        assert not selection.promoted
        assert selection.champion == "none"
        assert selection.sha256 in {candidate.sha256 for candidate in trained.candidates}
        assert f"fold {fold} of {FOLDS}" in selection.reason


def test_compare_shows_mean_and_spread_over_the_folds(site):
    _, results = site
    url = results[0][0].database.url
    names = [f"run-{fold}" for fold in range(1, FOLDS + 1)]
    output = CliRunner().invoke(cli, ["runs", "compare", *names, "--json", "--url", url], catch_exceptions=False)
    document = json.loads(output.output)
    assert [run["fold"] for run in document["runs"]] == [1, 2, 3]
    assert (document["number_of_folds"], document["missing_folds"], document["differing"]) == (FOLDS, [], [])
    scores = {one["name"]: one for one in document["metrics"] if one["split"] == "val"}
    by_hand = [
        next(model.metrics["box_AP"] for model in decided.models if model.sha256 == decided.selections[0].sha256)
        for _, _, _, decided in (results[fold] for fold in (1, 2, 3))
    ]
    assert scores["box_AP"]["values"] == pytest.approx(by_hand)
    assert scores["box_AP"]["mean"] == pytest.approx(sum(by_hand) / FOLDS)
    shown = CliRunner().invoke(cli, ["runs", "compare", *names[:2], "--url", url], catch_exceptions=False).output
    assert "folds without a run: 3" in shown
