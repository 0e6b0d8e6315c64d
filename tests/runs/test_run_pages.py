"""The page and the index of a run from its documents: as they are now, and as earlier releases left them."""

import json
from datetime import UTC, datetime

import pytest

from sightline.config.decode import decode
from sightline.runs.document import RunDocument
from sightline.runs.journal import TaskEntry
from sightline.runs.pages import ORDER, _links, _task_views, write_index, write_pages
from sightline.runs.step_table import BY_NAME
from tests.report.conftest import Page

RUN = "20261121-075300-k3f9"
STEPS = ["record", "train", "evaluate", "test"]


def document(state, message="", steps=STEPS, **more):
    return RunDocument(
        RUN, "plates", [], list(steps), "plates_ann_v1", "c0de", {"train": {"trackers": ["text"]}},
        "python pipeline.py run --local", state, datetime(2026, 11, 21, tzinfo=UTC).isoformat(), 3.0,
        more.pop("pid", 0), "", message,
    )  # fmt: skip


def states(run, **entries):
    journal = {step: TaskEntry(step, state, seconds=1.0) for step, state in entries.items()}
    return [view.state for view in _task_views(run, journal)]


def test_every_page_has_the_seven_tasks_in_one_order():
    assert [view.name for view in _task_views(document("running"), {})] == list(ORDER)
    assert set(ORDER) == set(BY_NAME)


@pytest.mark.parametrize(
    ("run", "entries", "expected"),
    [
        # a champion was promoted
        (document("succeeded"), dict.fromkeys(("resolve", *STEPS, "promote"), "succeeded"), ["succeeded"] * 7),
        # there was nothing to promote
        (document("succeeded"), dict.fromkeys(("resolve", *STEPS), "succeeded"),
         [*["succeeded"] * 4, "skipped", "succeeded", "succeeded"]),
        # a task that said why
        (document("failed"), {"resolve": "succeeded", "record": "failed"},
         ["succeeded", "failed", *["skipped"] * 4, "succeeded"]),
        # a pod that was lost while it ran is what failed the run
        (document("failed"), {"resolve": "succeeded", "record": "reused", "train": "running"},
         ["succeeded", "reused", "failed", *["skipped"] * 3, "succeeded"]),
        # a pod that never came to its journal
        (document("failed", "no node is large enough"), {"resolve": "succeeded", "record": "reused"},
         ["succeeded", "reused", "failed", *["skipped"] * 3, "succeeded"]),
        # the same, and finish has an entry of its own
        (document("failed"), {"resolve": "succeeded", "record": "reused", "finish": "succeeded"},
         ["succeeded", "reused", "failed", *["skipped"] * 3, "succeeded"]),
        # record came from Kubeflow's cache and has no entry; test never began
        (document("failed"), {"resolve": "succeeded", "train": "succeeded", "evaluate": "succeeded"},
         ["succeeded", "skipped", "succeeded", "succeeded", "skipped", "failed", "succeeded"]),
        (document("interrupted"), {"resolve": "succeeded", "record": "running"},
         ["succeeded", "interrupted", *["skipped"] * 4, "succeeded"]),
        # only some steps
        (document("succeeded", steps=["test"]), {"resolve": "succeeded", "test": "succeeded"},
         ["succeeded", *["skipped"] * 4, "succeeded", "succeeded"]),
        (document("running"), {"resolve": "running"}, ["running", *["skipped"] * 6]),
    ],
)  # fmt: skip
def test_the_state_of_every_task(run, entries, expected):
    assert states(run, **entries) == expected


def test_a_task_that_could_not_say_why_gets_the_reason_of_the_run():
    views = _task_views(document("failed", "no node is large enough"), {"resolve": TaskEntry("resolve", "succeeded")})
    assert views[1].message == "no node is large enough"


# What release 0.1.0 wrote: no environment, no confidence curves, no promote or finish, the champion's own numbers.
OLD_EVALUATE = {
    "training_tag": "plates_train_v1",
    "models": [
        {"name": name, "uri": f"file:///b/{name}", "sha256": sha, "training_tag": "t", "metrics": {"mask_AP": value}}
        for name, sha, value in (("best", "b" * 64, 0.25), ("last", "1" * 64, 0.375), ("champion", "c" * 64, 0.5))
    ],
    "selections": [
        {"metric": "mask_AP", "uri": "file:///b/champion", "sha256": "c" * 64, "name": "champion", "value": 0.5,
         "previous_sha256": "c" * 64, "previous_value": 0.5, "promoted": False, "reason": "the champion stays"}
    ],
    "seconds": 1.0,
}  # fmt: skip
OLD_TEST = {
    "training_tag": "plates_train_v1",
    "images": 3,
    "unlabelled_images": 0,
    "models": [
        {"metric": "mask_AP", "uri": "file:///b/champion", "sha256": "c" * 64, "metrics": {"mask_AP": 0.625},
         "images_per_second": 2.0, "predictions": ""}
    ],
    "seconds": 1.0,
}  # fmt: skip


def opened(path):
    return Page(path.read_text())


@pytest.fixture
def old_run(sightline_home):
    """A run of release 0.1.0 on this work volume, redrawn: the page of the run and the index."""
    config = decode("plates", ["data.tag=plates_ann_v1"])
    run = document("succeeded")
    folder = sightline_home / "work" / "runs" / RUN
    (folder / "tasks").mkdir(parents=True)
    for step, result, split in (("evaluate", OLD_EVALUATE, "val"), ("test", OLD_TEST, "test")):
        files = sightline_home / "bucket" / "results" / step
        files.mkdir(parents=True)
        models = {
            one.get("name", "champion"): {"sha256": one["sha256"], "uri": one["uri"], "metrics": one["metrics"]}
            for one in result["models"]
        }
        summary = {"split": split, "models": models, "selections": OLD_EVALUATE["selections"], "drawn": []}
        (files / "summary.json").write_text(json.dumps(summary))
        entry = {"step": step, "state": "succeeded", "result": json.dumps(result | {"files": files.as_uri()})}
        (folder / "tasks" / f"{step}.json").write_text(json.dumps(entry))
    write_pages(config, run)
    return opened(folder / "report" / "index.html"), opened(sightline_home / "work" / "runs" / "index.html")


def test_a_run_of_an_earlier_release_is_drawn_with_its_own_candidates_first(old_run):
    page, index = old_run
    page.has("by mask_AP, on the val split last champion stays 0.375", "champion: 0.500, difference -0.125")
    page.has("have no environment", "an earlier release wrote them", "2.0 images/s")
    page.has("sightline model predict /b/last photo.jpg --out predictions")
    index.has("0.375 val against 0.500", "mask_AP: last, champion stays")
    assert "0.625" not in index.text  # the champion's test value is not the run's


def test_the_index_is_written_from_documents_alone(old_run, sightline_home):
    write_index(sightline_home / "work")
    assert opened(sightline_home / "work" / "runs" / "index.html").links[1:] == [f"{RUN}/report/index.html"]


FAULT = "pets_ann_v1 has 19 faults; fix the annotations and add them as a new version"


def redrawn(sightline_home, run, *entries):
    """The page of a run with these tasks, and the index."""
    folder = sightline_home / "work" / "runs" / RUN
    (folder / "tasks").mkdir(parents=True)
    for entry in entries:
        (folder / "tasks" / f"{entry['step']}.json").write_text(json.dumps(entry))
    write_pages(decode("plates", ["data.tag=plates_ann_v1"]), run)
    return opened(folder / "report" / "index.html"), opened(sightline_home / "work" / "runs" / "index.html")


@pytest.mark.parametrize("pid", [0, 1], ids=["Kubeflow", "local"])
@pytest.mark.parametrize("needs_correction", [False, True])
def test_a_run_that_fails_again_the_same_way_says_to_correct_it(sightline_home, needs_correction, pid):
    entry = {"step": "record", "state": "failed", "message": FAULT, "needs_correction": needs_correction}
    page, _ = redrawn(sightline_home, document("failed", f"record: {FAULT}", pid=pid), entry)
    assert ("Fix the configuration or the data first" in page.text) == needs_correction
    assert ("Resume this run" in page.text) != needs_correction
    page.has("Training did not run.", "Neither train nor test finished in this run.")
    assert "--set 'train.trackers" not in page.text


def test_tensorboard_is_named_as_a_setting_only_to_a_training_without_it(sightline_home):
    page, _ = redrawn(sightline_home, document("failed"), {"step": "train", "state": "failed"})
    page.has("to write them in the next run, add --set 'train.trackers=[text, tensorboard]'")


def test_a_run_that_found_its_evaluation_says_so(sightline_home):
    files = sightline_home / "bucket" / "results" / "evaluate"
    files.mkdir(parents=True)
    result = json.dumps(OLD_EVALUATE | {"files": files.as_uri()})
    entry = {"step": "evaluate", "state": "reused", "result": result}
    page, index = redrawn(sightline_home, document("succeeded"), entry)
    index.has("mask_AP: last, its results existed already")
    page.has("Decided by an earlier run; its results were reused.")


@pytest.mark.parametrize(
    ("address", "linked"),
    [
        ("https://mlflow.example/x", True),
        ("sqlite:////work/mlflow.sqlite", False),  # no page
        ("https://me:canary-7@mlflow.example", False),
        ("https://mlflow.example/?token=canary-7", False),
    ],
)
def test_a_tracker_is_linked_if_its_address_is_a_page_without_a_password(monkeypatch, address, linked):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert _links(document("running", pid=1)) == ({"MLflow": address} if linked else {})
