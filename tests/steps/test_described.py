"""What Kubeflow is told of data sets and models: addresses that its launcher records, and plain values."""

import json
from contextlib import closing
from dataclasses import replace

import pytest
from kfp import dsl

from sightline.config.decode import decode
from sightline.database import ModelRecord, open_database
from sightline.registry.results import Candidate, EvaluateResult, RecordResult, ScoredModel, Selection, TrainResult
from sightline.steps import described
from sightline.steps.described import git_uri, object_uri
from sightline.steps.task import Finished

OWN, OLD = "7" * 64, "d" * 64
METRICS = {"mask_AP": 0.5, "mask_AP50": 0.75, "EIR": 0.25, "mask_AP_small": 0.125}
RECORDED = RecordResult(
    dataset="plates",
    version="v1",
    annotation_tag="plates_ann_v1",
    annotation_commit="a" * 40,
    training_tag="plates_train_v1",
    training_commit="b" * 40,
    digest="c" * 32,
    images={"train": 17, "val": 4, "test": 3},
    instances={"train": {"0": 9}, "val": {"0": 1}, "test": {"0": 2}},
    dropped={},
    warnings=[],
    files="gs://models/results/record/plates_train_v1/k/p",
    seconds=1.0,
)
FOLDER = "gs://models/results/train/plates_train_v1/k/p"
TRAINED = TrainResult(
    "plates_train_v1",
    "b" * 40,
    [Candidate("best", f"{FOLDER}/best.safetensors", OWN, 40, METRICS)],
    80,
    f"{FOLDER}/history.json",
    f"{FOLDER}/log.txt",
    2.0,
)


def selection(metric, sha256, **changes):
    fields = {"uri": f"gs://models/evaluation/plates_train_v1/{metric}/{sha256[:16]}/model.safetensors", "value": 0.5}
    fields |= {"name": "best", "previous_sha256": OLD, "promoted": True, "reason": f"{metric}: because"}
    return Selection(metric, sha256=sha256, **fields | {"candidate_sha256": OWN, "champion": "measured"} | changes)


def evaluated(*selections):
    models = [
        ScoredModel("best", f"{FOLDER}/best.safetensors", OWN, "plates_train_v1", METRICS),
        ScoredModel("champion", "gs://models/old", OLD, "plates_train_v0", METRICS | {"EIR": 0.5}),
    ]
    return EvaluateResult("plates_train_v1", models, list(selections), "gs://models/results/evaluate/t/k/p", 3.0)


STAYS = {"promoted": False, "name": "champion"}


@pytest.fixture
def config(tmp_path):
    overrides = [
        f"database.url=sqlite:///{tmp_path / 'sightline.sqlite'}",
        "data.repository=https://git.example.com/team/plates.git",
        "data.tag=plates_ann_v1",
    ]
    config = decode("plates", overrides)
    with closing(open_database(config.database.url)) as database:
        for sha256, code in ((OWN, "code-of-its-maker"), (OLD, "older-code")):
            database.register_model(ModelRecord(sha256, "gs://models/x", config.task, "plates_train_v1", None, code))
    return config


def everything(config):
    result = evaluated(selection("mask_AP", OLD, **STAYS), selection("EIR", OWN))
    return {
        "training set": described.training_set(config, RECORDED),
        "candidate": described.candidate(config, TRAINED),
        "selected": described.selected(config, result),
        "champion": described.champion(config, result),
    }


def test_the_launcher_records_every_address_and_copies_nothing(config):
    """It takes these four for its own store, and fails the task where the object lies elsewhere."""
    for description in everything(config).values():
        assert not description.uri.startswith(("gs://", "s3://", "minio://", "oci://"))
        assert "://" in description.uri


def test_metadata_are_what_the_launcher_takes_and_the_dashboard_shows(config):
    for description in everything(config).values():
        assert all(isinstance(value, str | int | float) for value in description.metadata.values())
        assert json.loads(json.dumps(description.metadata, allow_nan=False)) == description.metadata
        assert description.metadata["display_name"]


def test_a_training_set_is_named_by_its_tag_and_counted(config):
    description = described.training_set(config, RECORDED)
    assert description.uri == "git+https://git.example.com/team/plates.git@plates_train_v1#training/plates"
    said = description.metadata
    assert (said["training_commit"], said["annotation_tag"], said["dvc_md5"]) == ("b" * 40, "plates_ann_v1", "c" * 32)
    assert [said[f"{split}_images"] for split in ("train", "val", "test")] == [17, 4, 3]
    assert said["classes"].split(", ") == list(config.data.classes)
    assert said["report"] == f"{RECORDED.files}/report.html"


def test_a_candidate_says_whose_code_made_it(config):
    description = described.candidate(config, TRAINED)
    assert description.uri == f"gcs://{FOLDER.removeprefix('gs://')}/best.safetensors"
    said = description.metadata
    assert said["storage_uri"] == f"{FOLDER}/best.safetensors"
    assert (said["sha256"], said["iteration"], said["code_revision"]) == (OWN, 40, "code-of-its-maker")
    assert (said["val_mask_AP"], said["val_mask_AP50"]) == (0.5, 0.75)
    assert "val_mask_AP_small" not in said
    elsewhere = described.candidate(config, replace(TRAINED, trained_on="plates_train_v0"))
    assert elsewhere.metadata["training_tag"] == "plates_train_v0"


@pytest.mark.parametrize(
    ("chosen", "role", "sha256", "tag"),
    [
        (selection("mask_AP", OLD, **STAYS), "champion", OLD, "plates_train_v0"),  # a champion that stays
        (selection("mask_AP", OWN), "candidate", OWN, "plates_train_v1"),  # who is to become champion
        (selection("mask_AP", OWN, promoted=False, champion="none"), "candidate", OWN, "plates_train_v1"),  # too weak
    ],
)
def test_the_selected_model_is_that_of_the_first_metric(config, chosen, role, sha256, tag):
    said = described.selected(config, evaluated(chosen, selection("EIR", OWN))).metadata
    assert (said["role"], said["sha256"], said["training_tag"]) == (role, sha256, tag)
    assert (said["selected_by"], said["evaluated_on"]) == ("mask_AP", "plates_train_v1")


def test_the_champion_is_the_first_new_one(config):
    kept = selection("mask_AP", OLD, **STAYS)
    description = described.champion(config, evaluated(kept, selection("EIR", OWN)))
    assert description.uri == f"gcs://models/evaluation/plates_train_v1/EIR/{OWN[:16]}/model.safetensors"
    assert (description.metadata["role"], description.metadata["selected_by"]) == ("champion", "EIR")
    assert described.champion(config, evaluated(kept)) is None


def test_a_model_that_the_database_does_not_know_is_described_nevertheless(config):
    stranger = replace(TRAINED, candidates=[replace(TRAINED.candidates[0], sha256="e" * 64)])
    assert described.candidate(config, stranger).metadata["code_revision"] == ""


def test_an_artifact_of_kubeflow_points_at_the_object(config, tmp_path):
    artifact = dsl.Model(name="candidate", uri="minio://mlpipeline/x", metadata={"kept": 1})
    Finished("{}", description=described.candidate(config, TRAINED)).describe(artifact)
    assert artifact.uri == f"gcs://{FOLDER.removeprefix('gs://')}/best.safetensors"
    assert artifact.metadata["kept"] == 1
    assert artifact.metadata["sha256"] == OWN
    nothing = dsl.Model(name="champion_model", uri="minio://mlpipeline/x", metadata={})
    Finished("{}").describe(nothing)
    assert (nothing.uri, nothing.metadata) == ("minio://mlpipeline/x", {})


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("https://host/team/data.git", "git+https://host/team/data.git"),
        ("ssh://git@host:2222/team/data.git", "git+ssh://git@host:2222/team/data.git"),
        ("git@host:team/data.git", "git+ssh://git@host/team/data.git"),
        ("host:/srv/data.git", "git+ssh://host/srv/data.git"),
        ("file:///srv/data", "git+file:///srv/data"),
        ("/srv/my data", "git+file:///srv/my%20data"),
        ("/srv/a:b", "git+file:///srv/a%3Ab"),
    ],
)
def test_an_address_of_git_names_tag_and_folder(repository, expected):
    assert git_uri(repository, "x_train_v1", "training/x") == f"{expected}@x_train_v1#training/x"


@pytest.mark.parametrize("uri", ["file:///bucket/results/m.safetensors", "gs://b/m.safetensors"])
def test_an_object_keeps_its_name(uri):
    assert object_uri(uri).endswith(uri.partition("://")[2])
