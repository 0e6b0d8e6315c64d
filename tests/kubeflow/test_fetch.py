"""What a run left in the bucket, brought home."""

from dataclasses import replace

import pytest

from sightline.config.decode import decode
from sightline.config.digest import config_digest
from sightline.errors import DataError, NotThereError, StorageError
from sightline.kubeflow.runs.fetch import fetch
from sightline.kubeflow.runs.lookup import read_run
from sightline.registry import results, store
from sightline.storage import open_storage
from tests.golden import raises
from tests.kubeflow.test_runs import FIRST, SECOND, document

TAG = "plates_train_v1"


@pytest.fixture
def bucket(tmp_path, sightline_home):
    uri = (tmp_path / "bucket").as_uri()
    (tmp_path / "bucket").mkdir()
    (sightline_home / "settings.yaml").write_text(f"storage: {{uri: '{uri}'}}\n")
    return open_storage(uri)


def run(run_id=FIRST, tag="plates_ann_v1"):
    parameters = {"dataset_tag": tag, "recipe": "plates", "overrides": "seed=3"}
    return read_run(document(run_id, state="SUCCEEDED") | {"runtime_config": {"parameters": parameters}})


def publish(bucket, monkeypatch, run_id, key, report, *, stays=False):
    """An evaluation and a test that a run made."""
    monkeypatch.setenv("SIGHTLINE_RUN_ID", run_id)
    config = decode("plates", ["seed=3", "data.tag=plates_ann_v1"])
    bucket.write_bytes(f"evaluation/{TAG}/EIR/{key}/model.safetensors", report.encode())
    uri = bucket.uri_of(f"evaluation/{TAG}/EIR/{key}/model.safetensors")
    selected = results.Selection("EIR", uri, "a" * 64, "best", 0.9, "", promoted=True, reason="better")
    if stays:
        bucket.write_bytes("train/last.safetensors", b"candidate")
        own = {
            "candidate": "best",
            "candidate_sha256": "b" * 64,
            "candidate_uri": bucket.uri_of("train/last.safetensors"),
        }
        selected = replace(selected, name="champion", champion="measured", promoted=False, **own)
    folder = bucket.uri_of(store.folder_key("evaluate", TAG, key))
    evaluated = results.EvaluateResult(TAG, [], [selected], folder, 1.0)
    tested = results.TestResult(TAG, 1, 0, [], bucket.uri_of(store.folder_key("test", TAG, key)), 1.0)
    for result, names in ((evaluated, ("report.html", "summary.json", "curves.json")), (tested, ("report.html",))):
        step = store.STEP_OF[type(result)]
        files = bucket_folder(bucket, run_id, step, names, report)
        store.publish_result(bucket, result, TAG, key, files=files, config_digest=config_digest(step, config))


def bucket_folder(bucket, run_id, step, names, report):
    from pathlib import Path

    folder = Path(bucket.uri.removeprefix("file://")).parent / run_id / step
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text(f"{step} {report}")
    return folder


def test_reports_summaries_and_the_model_of_this_run(bucket, kubeflow, tmp_path, monkeypatch):
    publish(bucket, monkeypatch, FIRST, "1" * 16, "of the first")
    publish(bucket, monkeypatch, SECOND, "2" * 16, "of the second")
    bucket.write_bytes(f"runs/{FIRST}/index.html", b"page")
    written = {path.relative_to(tmp_path / "home").as_posix() for path in fetch(kubeflow, run(), tmp_path / "home")}
    assert written == {
        "index.html",
        "evaluate/report.html",
        "evaluate/summary.json",
        "test/report.html",
        "EIR/model.safetensors",
    }
    assert (tmp_path / "home/evaluate/report.html").read_text() == "evaluate of the first"
    assert (tmp_path / "home/EIR/model.safetensors").read_text() == "of the first"


def test_a_champion_that_stays_is_left_out(bucket, kubeflow, tmp_path, monkeypatch):
    """It is another run's; what this run trained is what is brought."""
    publish(bucket, monkeypatch, FIRST, "1" * 16, "champion", stays=True)
    home = tmp_path / "home"
    written = {path.relative_to(home).as_posix() for path in fetch(kubeflow, run(), home)}
    assert {name for name in written if name.endswith(".safetensors")} == {"EIR/model.safetensors"}
    assert (home / "EIR/model.safetensors").read_text() == "candidate"


def test_a_run_that_found_all_done_has_the_results_it_found(bucket, kubeflow, tmp_path, monkeypatch):
    publish(bucket, monkeypatch, FIRST, "1" * 16, "of the first")
    list(fetch(kubeflow, run(SECOND), tmp_path / "home"))
    assert (tmp_path / "home/test/report.html").read_text() == "test of the first"


def test_fetch_replaces_what_it_wrote_and_nothing_else(bucket, kubeflow, tmp_path, monkeypatch):
    publish(bucket, monkeypatch, FIRST, "1" * 16, "of the first")
    bucket.write_bytes(f"runs/{FIRST}/index.html", b"running")
    list(fetch(kubeflow, run(), tmp_path / "home"))
    bucket.write_bytes(f"runs/{FIRST}/index.html", b"done")
    list(fetch(kubeflow, run(), tmp_path / "home"))
    assert (tmp_path / "home/index.html").read_bytes() == b"done"
    (tmp_path / "home/test/report.html").write_text("with my notes")
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text("my home page")
    for folder, name in (("home", "test/report.html"), ("site", "index.html")):
        before = (tmp_path / folder / name).read_text()
        with raises(DataError, name):
            list(fetch(kubeflow, run(), tmp_path / folder))
        assert (tmp_path / folder / name).read_text() == before
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["index.html"]


def test_a_run_without_results(bucket, kubeflow, tmp_path):
    with raises(NotThereError, FIRST, "succeeded"):
        list(fetch(kubeflow, run(), tmp_path / "home"))


def test_a_bucket_on_the_clusters_volume(kubeflow, tmp_path, sightline_home):
    (sightline_home / "settings.yaml").write_text("storage: {uri: 'file:///var/lib/nowhere/bucket'}\n")
    with raises(StorageError, "file:///var/lib/nowhere/bucket"):
        list(fetch(kubeflow, run(), tmp_path / "home"))
