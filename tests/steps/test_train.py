import json
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from sightline.config.data import Data, Splits
from sightline.config.schema import Config, Database, Storage, Work
from sightline.data.loading.dataset import CocoDataset
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.tags import DatasetTag
from sightline.database import ModelUse, Named, RunUse, open_database
from sightline.errors import ConfigurationError, DataError, ModelFileError, RepositoryError
from sightline.evaluation.environment import processor_name
from sightline.files import file_sha256
from sightline.models.model_file import read_card
from sightline.registry.champions import ChampionPointer, pointer_key, write_champion
from sightline.registry.store import from_json, to_json
from sightline.runs.resolve import with_pinned_weights
from sightline.runs.tensorboard import tensorboard_folder
from sightline.steps import evaluate as evaluate_step
from sightline.steps import record as record_step
from sightline.steps import train as train_step
from sightline.storage.uris import fetch, open_storage
from sightline.tasks.base import Predictor, load_model
from tests.golden import raises
from tests.squares import CLASSES, TINY_MODEL, TINY_TRAIN, write_labelme

REVISION = "0.1.0"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A folder with a recorded training set, the configuration, and what record gave."""
    folder = tmp_path_factory.mktemp("train-step")
    init_repository(folder / "data", str(folder / "remote"))
    write_labelme(folder / "shapes", 10)
    add_annotations(folder / "data", folder / "shapes", DatasetTag.parse("shapes_ann_v1"))
    config = Config(
        recipe="shapes",
        data=Data(
            tag="shapes_ann_v1",
            repository=str(folder / "data"),
            classes=CLASSES,
            splits=Splits(train=0.5, val=0.25, test=0.25),
            near_duplicate_distance=0,
        ),
        model=TINY_MODEL,
        train=TINY_TRAIN,
        storage=Storage(uri=str(folder / "bucket")),
        database=Database(url=f"sqlite:///{folder / 'sightline.sqlite'}"),
        work=Work(dir=str(folder / "work")),
    )
    return folder, config, record_step.run(config, REVISION)


@pytest.fixture(scope="module")
def trained(recorded):
    _, config, record = recorded
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGHTLINE_RUN_ID", "first-run")
        return train_step.run(config, REVISION, record)


def changed(config, section, **values):
    return config.model_copy(update={section: getattr(config, section).model_copy(update=values)})


def test_candidates_can_be_used_from_the_bucket_alone(recorded, trained, tmp_path):
    _, _, record = recorded
    assert trained.training_tag == "shapes_train_v1"
    assert trained.iterations == TINY_TRAIN.iterations
    assert trained.candidates[0].name == "best"
    for candidate in trained.candidates:
        path = fetch(candidate.uri, tmp_path / candidate.name)
        card = Predictor.load(path, device="cpu", classes=CLASSES).card
        assert dict(card.metrics) == candidate.metrics
        assert card.iteration == candidate.iteration
        assert (card.training_tag, card.training_commit) == (record.training_tag, record.training_commit)
        assert (card.dataset_digest, card.code_rev) == (record.digest, REVISION)
        assert card.configuration["train"]["learning_rate"] == TINY_TRAIN.learning_rate
        assert str(recorded[0]) not in json.dumps(card.configuration)
    assert len({candidate.sha256 for candidate in trained.candidates}) == len(trained.candidates)


def test_history_log_and_curves_lie_beside_them(recorded, trained):
    _, config, _ = recorded
    storage = open_storage(config.storage.uri)
    folder = trained.history.removeprefix(f"{storage.uri}/").rpartition("/")[0]
    names = {info.key.removeprefix(f"{folder}/") for info in storage.list(folder)}
    assert {"best.safetensors", "history.json", "log.txt", "metrics.jsonl"} <= names
    assert storage.stat(f"{folder.rpartition('/')[0]}/result.json") is not None
    assert any(name.startswith("tensorboard/events") for name in names)
    assert not any(name.endswith(".part") or "checkpoint" in name for name in names)
    history = json.loads(storage.read_bytes(f"{folder}/history.json")[0])["entries"]
    assert history[-1]["iteration"] == TINY_TRAIN.iterations
    assert "val/mask_AP" in history[-1]
    assert b"6/6 loss" in storage.read_bytes(f"{folder}/log.txt")[0]


def test_where_it_was_trained_is_kept_and_the_curves_are_found_by_the_runs_name(recorded, trained):
    _, config, _ = recorded
    where = trained.environment
    assert (where.accelerators, where.gpu_memory_gb, where.torch) == (0, None, torch.__version__)
    assert where.device == processor_name() != ""
    assert 0.05 < where.memory_gb < 100
    assert from_json(type(trained), to_json(trained)) == trained
    folder = Path(tensorboard_folder(Path(config.work.dir), "first-run"))
    assert any(path.name.startswith("events") for path in folder.iterdir())


def test_a_result_of_an_earlier_release_says_nothing_of_where(trained):
    document = json.loads(to_json(trained))
    del document["environment"]
    assert from_json(type(trained), json.dumps(document)) == replace(trained, environment=None)


def test_models_are_registered_with_their_metrics(recorded, trained):
    _, config, _ = recorded
    database = open_database(config.database.url)
    for candidate in trained.candidates:
        model = database.model(candidate.sha256)
        assert (model.uri, model.training_tag, model.code_rev) == (candidate.uri, "shapes_train_v1", REVISION)
        assert model.run_id == "first-run"
        assert database.metrics(candidate.sha256, "shapes_train_v1", "val") == pytest.approx(candidate.metrics)
    database.close()


def test_training_again_finds_the_result_and_registers_it_again(recorded, trained, tmp_path, monkeypatch):
    _, config, record = recorded
    elsewhere = changed(config, "database", url=f"sqlite:///{tmp_path / 'other.sqlite'}")
    elsewhere = changed(elsewhere, "work", dir=str(tmp_path / "work"))
    monkeypatch.setenv("SIGHTLINE_RUN_ID", "second-run")
    assert train_step.run(elsewhere, REVISION, record) == trained
    assert not (tmp_path / "work" / "train").exists()
    database = open_database(elsewhere.database.url)
    for candidate in trained.candidates:
        (model,) = database.lineage(Named("model", candidate.sha256)).models
        assert model.record.run_id == "first-run"  # which made it, and which this database never heard of
        assert model.uses == [RunUse("second-run", ModelUse(candidate.sha256, candidate.name))]
    database.close()
    assert from_json(type(trained), to_json(trained)) == trained


def test_the_same_training_elsewhere_gives_the_same_models(recorded, trained, tmp_path):
    _, config, record = recorded
    elsewhere = changed(config, "storage", uri=str(tmp_path / "bucket"))
    elsewhere = changed(elsewhere, "work", dir=str(tmp_path / "work"))
    again = train_step.run(elsewhere, REVISION, record)
    assert [candidate.sha256 for candidate in again.candidates] == [
        candidate.sha256 for candidate in trained.candidates
    ]


def test_an_interrupted_step_goes_on(recorded, trained, tmp_path, monkeypatch):
    _, config, record = recorded
    config = changed(config, "storage", uri=str(tmp_path / "bucket"))
    config = changed(config, "work", dir=str(tmp_path / "work"))

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sightline.engine.loop.keep_if_good", stop)
        with pytest.raises(KeyboardInterrupt):
            train_step.run(config, REVISION, record)
    (folder,) = (path for path in (tmp_path / "work" / "train").iterdir() if path.is_dir())
    (folder / "files" / ".last.safetensors.1.part").write_bytes(b"half")
    (folder / "files" / ".tmpAb12Cd").write_bytes(b"half")
    (folder / ".tmpEf34Gh").write_bytes(b"half")
    assert (folder / "checkpoints" / "00000002.json").exists()
    again = train_step.run(config, REVISION, record)
    assert [candidate.sha256 for candidate in again.candidates] == [
        candidate.sha256 for candidate in trained.candidates
    ]
    log = (folder / "files" / "log.txt").read_text()
    assert "resuming after iteration 2 of 6" in log
    assert sorted(path.name for path in folder.iterdir()) == ["files"]
    assert not list(folder.rglob(".*"))


def test_a_training_set_that_moved_is_refused(recorded, tmp_path):
    _, config, record = recorded
    config = changed(config, "storage", uri=str(tmp_path / "bucket"))
    with pytest.raises(RepositoryError):
        train_step.run(config, REVISION, replace(record, training_commit="0" * 40))


def test_other_classes_than_those_recorded_are_refused(recorded, tmp_path):
    _, config, record = recorded
    config = changed(config, "storage", uri=str(tmp_path / "bucket"))
    with raises(DataError, "data.classes"):
        train_step.run(changed(config, "data", classes=("disc", "square")), REVISION, record)


SHORT = {"iterations": 1, "warmup_iterations": 0, "validate_every": 1, "learning_rate": 1e-9, "weight_decay": 0.0}


def test_pretrained_weights_are_where_training_begins(recorded, tmp_path):
    _, config, record = recorded
    config = changed(config, "storage", uri=str(tmp_path / "bucket"))
    weights = tmp_path / "weights.safetensors"
    source = timm.create_model("test_resnet")
    save_file(source.state_dict(), weights)
    begun = changed(changed(config, "model", weights=str(weights)), "train", **SHORT)
    result = train_step.run(begun, REVISION, record)
    network, card = load_model(fetch(result.candidates[0].uri, tmp_path))
    assert card.architecture.weights == card.weights == str(weights)
    assert card.weights_sha256 == file_sha256(weights)
    assert (network.backbone.body.network.conv1[0].weight - source.conv1[0].weight).abs().max() < 1e-6
    table = fetch(result.history.replace("history.json", "weights.txt"), tmp_path).read_text()
    assert f"weights: {weights}" in table
    assert "re-initialized" in table
    save_file({"other": torch.zeros(1)}, weights)
    with raises(ModelFileError, "weights.safetensors"):
        train_step.run(changed(begun, "train", iterations=2), REVISION, record)


def test_a_resumed_training_does_not_need_the_weights_again(recorded, tmp_path):
    _, config, record = recorded
    weights = tmp_path / "weights.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), weights)
    config = changed(changed(config, "storage", uri=str(tmp_path / "bucket")), "model", weights=str(weights))
    config = changed(changed(config, "work", dir=str(tmp_path / "work")), "train", checkpoint_every=2)
    digest = file_sha256(weights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CocoDataset, "sample", broken_after(CocoDataset.sample, images=7))
        with pytest.raises(RuntimeError, match="broken on purpose"):
            train_step.run(config, REVISION, record)
    weights.unlink()
    result = train_step.run(config, REVISION, record)
    card = read_card(fetch(result.candidates[-1].uri, tmp_path))
    assert (card.iteration, card.weights, card.weights_sha256) == (TINY_TRAIN.iterations, str(weights), digest)


def broken_after(sample, images):
    """A method that reads some samples and then fails."""
    seen = iter(range(images))

    def read(*arguments):
        if next(seen, None) is None:
            raise RuntimeError("broken on purpose")
        return sample(*arguments)

    return read


def test_training_begins_with_a_champion(recorded, trained, tmp_path):
    _, config, record = recorded
    storage = open_storage(config.storage.uri)
    model = trained.candidates[0]
    pointer = ChampionPointer("mask_AP", model.sha256, model.uri, trained.training_tag, 0.5, "", "")
    write_champion(storage, "shapes", pointer, 0)
    try:
        config = changed(changed(config, "model", weights="champion:shapes"), "train", **SHORT)
        pinned = with_pinned_weights(config)
        assert pinned.model.weights == model.uri
        result = train_step.run(config, REVISION, record)
    finally:
        storage.delete(pointer_key("shapes", "mask_AP"))
    network, card = load_model(fetch(result.candidates[0].uri, tmp_path))
    before, _ = load_model(fetch(model.uri, tmp_path / "before"))
    assert card.weights == model.uri
    for name, tensor in before.named_parameters():
        assert (network.get_parameter(name) - tensor).abs().max() < 1e-6, name
    with raises(ModelFileError, "shapes"):
        with_pinned_weights(config)


def test_one_candidate_where_the_best_is_the_last(recorded, tmp_path):
    _, config, record = recorded
    config = changed(config, "storage", uri=str(tmp_path / "bucket"))
    once = train_step.run(changed(config, "train", iterations=2, validate_every=2), REVISION, record)
    assert [candidate.name for candidate in once.candidates] == ["best"]
    assert read_card(fetch(once.candidates[0].uri, tmp_path)).iteration == 2


@pytest.mark.slow
def test_the_step_trains_in_several_processes(recorded, tmp_path):
    _, config, record = recorded
    config = changed(config, "train", processes=2, log_every=6)
    config = config.model_copy(update={"storage": Storage(uri=str(tmp_path / "bucket"))})
    config = config.model_copy(update={"work": config.work.model_copy(update={"dir": str(tmp_path / "work")})})
    result = train_step.run(config, REVISION, record)
    assert result.iterations == TINY_TRAIN.iterations
    storage = open_storage(config.storage.uri)
    log = storage.read_bytes(result.log.removeprefix(f"{storage.uri}/"))[0].decode()
    assert log.count("6/6 loss") == log.count("starting 2 processes") == 1


def test_more_processes_than_images_in_a_batch_are_refused_before_anything_is_fetched(recorded, tmp_path):
    _, config, record = recorded
    config = changed(config, "train", processes=3, batch_size=2)
    config = changed(config, "work", dir=str(tmp_path / "work"))
    config = changed(config, "storage", uri=str(tmp_path / "bucket"))
    with pytest.raises(ConfigurationError, match=r"train\.batch_size is 2"):
        train_step.run(config, REVISION, record)
    assert not list((tmp_path / "work" / "train").glob("*/files"))


def test_a_candidate_loaded_from_the_bucket_predicts_as_it_did_in_memory(recorded, trained, tmp_path):
    _, config, _ = recorded
    config = changed(config, "database", url=f"sqlite:///{tmp_path / 'sightline.sqlite'}")
    result = evaluate_step.run(config, REVISION, trained)
    assert result.models
    for model in result.models:
        assert model.parity.startswith("the same predictions and metrics as before it was saved (3 images")
