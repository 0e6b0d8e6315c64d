"""record and evaluate without train: the candidates of the dataset's last training, measured on new annotations."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from sightline.config.digest import config_digest
from sightline.database import ModelRecord, open_database
from sightline.errors import StepError
from sightline.registry import store
from sightline.registry.results import EvaluateResult
from sightline.steps.task import run_evaluate, run_promote, run_record
from sightline.storage import open_storage
from tests.golden import raises

ROOT = Path(__file__).parents[3]


def publish(site, config, key, *models, version="v1"):
    """A finished training, as train publishes it."""
    storage, folder = open_storage(config.storage.uri), site.folder / f"published-{key}"
    folder.mkdir()
    (folder / "history.json").write_text("[]")
    trained = site.trained(*models, version=version)
    place = storage.uri_of(store.folder_key("train", trained.training_tag, key))
    trained = dataclasses.replace(trained, history=f"{place}/history.json")
    digest = config_digest("train", config)
    store.publish_result(storage, trained, trained.training_tag, key, files=folder, config_digest=digest)
    with closing(open_database(config.database.url)) as database:
        for candidate in trained.candidates:
            database.register_model(
                ModelRecord(candidate.sha256, candidate.uri, config.task, trained.training_tag, None, "")
            )


@pytest.mark.usefixtures("oracle")
def test_the_last_training_of_the_dataset_is_measured_on_new_annotations(site):
    config = site.config("data.tag=plates_ann_v2")
    publish(site, config, "1" * 16, site.model(40))
    publish(site, config, "2" * 16, site.model(100), site.model(80))
    text, html = config.model_dump_json(), str(site.folder / "report.html")
    run_record(text, "code", html)
    finished = run_evaluate(text, "code", "", html)
    result = store.from_json(EvaluateResult, finished.result)
    assert result.training_tag == "plates_train_v2"
    assert [model.name for model in result.models] == ["best", "last"]
    assert {model.training_tag for model in result.models} == {"plates_train_v1"}
    assert finished.metrics["EIR"] == 1.0
    run_promote(text, "code", "")
    assert site.champion("EIR")["sha256"] == result.models[0].sha256
    with closing(open_database(config.database.url)) as database:
        assert database.model(result.models[0].sha256).training_tag == "plates_train_v1"


@pytest.mark.usefixtures("oracle")
def test_a_training_on_the_new_annotations_comes_first(site):
    config = site.config("data.tag=plates_ann_v2")
    publish(site, config, "1" * 16, site.model(40, version="v2"), version="v2")
    publish(site, config, "2" * 16, site.model(100))
    text, html = config.model_dump_json(), str(site.folder / "report.html")
    result = store.from_json(EvaluateResult, run_evaluate(text, "code", "", html).result)
    assert {model.training_tag for model in result.models} == {"plates_train_v2"}


@pytest.mark.usefixtures("oracle")
@pytest.mark.parametrize("content", [b'{"format": 99}', b"{", b"[]"])
def test_a_summary_that_cannot_be_read_is_named(site, content):
    config = site.config("data.tag=plates_ann_v2")
    publish(site, config, "1" * 16, site.model(40, version="v2"), version="v2")
    text, html = config.model_dump_json(), str(site.folder / "report.html")
    result = store.from_json(EvaluateResult, run_evaluate(text, "code", "", html).result)
    storage = open_storage(config.storage.uri)
    path = f"{store.folder_of(storage, result)}/summary.json"
    storage.write_bytes(path, content)
    with pytest.raises(StepError) as error:
        run_evaluate(text, "code", "", html)
    assert storage.uri_of(path) in str(error.value)
    assert ("later than" in str(error.value)) == (b"99" in content)


def test_without_any_training_the_step_says_so(site):
    config = site.config("data.tag=plates_ann_v2")
    publish(site, site.config("data.tag=plates_ann_v2", "train.iterations=77"), "1" * 16, site.model(40))
    with raises(StepError):
        run_evaluate(config.model_dump_json(), "code", "", str(site.folder / "report.html"))


def test_the_example_pipeline_runs(site):
    """examples/record_and_evaluate.py on this machine, each task in a process of its own."""
    config = site.config("data.tag=plates_ann_v2")
    publish(site, config, "1" * 16, site.model(40), site.model(80, seed=1))
    (site.folder / "config.json").write_text(config.model_dump_json())
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import record_and_evaluate as example\n"
        "from kfp import local\n"
        "local.init(local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[2], raise_on_error=True)\n"
        "example.record_and_evaluate(config=Path('config.json').read_text(), code_rev='image')\n"
    )
    paths = os.pathsep.join([str(ROOT / "shared"), str(ROOT)])
    command = [sys.executable, "-W", "ignore", "-c", script, str(ROOT / "examples"), str(site.folder / "kubeflow")]
    done = subprocess.run(
        command, cwd=site.folder, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    storage = open_storage(config.storage.uri)
    result = store.latest_result(storage, EvaluateResult, "plates_train_v2", config_digest("evaluate", config))
    assert result is not None
    assert {model.training_tag for model in result.models} == {"plates_train_v1"}
