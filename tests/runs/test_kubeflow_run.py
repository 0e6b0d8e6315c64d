"""A run that Kubeflow keeps: opened by resolve, closed by finish, told to a real webhook."""

import json
import re
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from kfp import dsl

from components.finish.component import finish as finish_component
from components.resolve.component import resolve as resolve_component
from sightline.config.digest import config_digest
from sightline.config.settings import home
from sightline.database import open_database
from sightline.errors import ConfigurationError, DatabaseError, StepError
from sightline.registry.results import EvaluateResult, RecordResult, ScoredModel, Selection
from sightline.registry.store import folder_key, publish_result, to_json
from sightline.report.page import alone
from sightline.runs import kubeflow_run
from sightline.runs.folder import run_folder
from sightline.runs.journal import journalled, read_journal
from sightline.runs.local_run import LocalRun
from sightline.runs.pages import write_index
from sightline.steps import task
from sightline.storage import open_storage
from tests.golden import raises

RUN = "7d3c6a0e-9f3f-4a60-a2a2-0d7a34f5c111"
TAG = "plates_ann_v1"


@pytest.fixture
def webhook(monkeypatch):
    """What a webhook was sent; ``status`` is what it answers, in turn, the last for ever."""
    sent, status = [], [200]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status.pop(0) if len(status) > 1 else status[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        monkeypatch.setenv("SIGHTLINE_NOTIFY_URL", f"http://127.0.0.1:{server.server_port}/services/T0/canary-hook")
        yield sent, status
        server.shutdown()


@pytest.fixture
def pod(monkeypatch):
    """The environment of a pod of the run."""
    monkeypatch.setenv("SIGHTLINE_RUN_ID", RUN)


def resolve(overrides=""):
    return task.run_resolve("plates", overrides, TAG, "", steps="record,train")


def finish(tmp_path, *, failed, overrides="", recipe="plates"):
    kubeflow_run.close_run(recipe, overrides, TAG, failed=failed, copy_to=str(tmp_path / "page" / "out"))


def run_row(config):
    with closing(open_database(config.database.url)) as database:
        (row,) = database.runs()
    return row


def do(*steps):
    """Leave the journal as steps do that succeed."""
    for step in steps:
        with journalled(home() / "work", step, {}):
            pass


def keep_result(config):
    """The training set of this configuration lies in the bucket, from another run."""
    counts = {split: {"0": 1} for split in ("train", "val", "test")}
    storage = open_storage(config.storage.uri)
    files = home() / "files"
    files.mkdir()
    (files / "report.html").write_text("x")
    base = storage.uri_of(folder_key("record", "plates_train_v1", "k"))
    images = dict.fromkeys(counts, 1)
    training = ("plates_train_v1", "b" * 40, "c" * 32)
    result = RecordResult("plates", "v1", TAG, "a" * 40, *training, images, counts, {}, [], base, 1.0)
    digest = config_digest("record", config)
    publish_result(storage, result, "plates_train_v1", "k", files=files, config_digest=digest)


def fail_in(step, host, state="running"):
    """Leave the journal as a pod that is gone does."""
    work = home() / "work"
    with journalled(work, step, {}):
        pass
    path = run_folder(work, RUN) / "tasks" / f"{step}.json"
    entry = json.loads(path.read_text())
    path.write_text(json.dumps({**entry, "state": state, "host": host, "pid": 1, "message": "disk full"}))


def test_a_run_is_opened_and_closed_with_row_page_copy_and_message(pod, webhook, tmp_path, monkeypatch):
    monkeypatch.setenv("SIGHTLINE_DASHBOARD", "https://kubeflow.example/pipeline/")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
    monkeypatch.setenv("SIGHTLINE_TENSORBOARD", "/a/folder")
    resolved = resolve()
    row = run_row(resolved.config)
    assert (row.record.run_id, row.record.dataset_tag, row.state) == (RUN, TAG, "running")
    assert read_journal(home() / "work", RUN)["resolve"].state == "succeeded"
    do("record", "train")
    finish(tmp_path, failed=False)
    assert run_row(resolved.config).state == "succeeded"
    page = run_folder(home() / "work", RUN) / "report" / "index.html"
    assert RUN in page.read_text()
    assert "../../index.html" in page.read_text()
    copy = (tmp_path / "page" / "out").read_text()
    assert copy == alone(page.read_bytes()).decode()
    assert not re.findall(r'href="(?!#|data:|https://)', copy)  # there is no index beside a copy
    assert (home() / "bucket" / "runs" / RUN / "index.html").read_text() == copy
    assert re.findall(r'<a href="(https:[^"]*)">(\w+) ↗</a>', page.read_text()) == [
        (f"https://kubeflow.example/pipeline/#/runs/details/{RUN}", "Kubeflow"),
        ("https://mlflow.example", "MLflow"),
    ]
    (message,) = webhook[0]
    assert message["text"].startswith(f"Sightline run {RUN} on {TAG} succeeded: result: seconds=")
    assert message["text"].endswith(f"https://kubeflow.example/pipeline/#/runs/details/{RUN}")


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ("plates plates_ann_v1 20261121-091530-3f2a", "plates plates_ann_v1 20261121-091530-3f2a"),
        ("{{$.pipeline_job_name}}", RUN),  # a back end that does not fill it in
        ("", RUN),
    ],
)
def test_the_page_has_the_name_of_the_run_as_its_title(pod, tmp_path, monkeypatch, given, title):
    monkeypatch.setenv("SIGHTLINE_RUN_NAME", given)
    resolve()
    finish(tmp_path, failed=True)
    page = (tmp_path / "page" / "out").read_text()
    assert f"<h1>{title}</h1>" in page
    assert f"<title>{title} · failed</title>" in page
    assert f"run {RUN}" in page  # the footer


@pytest.mark.parametrize(("given", "called"), [("nightly 7", {"display_name": "nightly 7"}), ("", {})])
def test_the_artifact_of_the_page_is_called_as_the_run(pod, tmp_path, monkeypatch, given, called):
    monkeypatch.setenv("SIGHTLINE_RUN_NAME", "")  # and as it was, when the component has set it
    resolved = resolve_component.python_func(TAG, "plates", steps="record", run_name=given)
    assert resolved[0] == resolve().config.model_dump_json()
    page = dsl.HTML(uri="minio://mlpipeline/run_page")
    page.custom_path = str(tmp_path / "page" / "out")
    closing = dsl.PipelineTaskFinalStatus("FAILED", "", "exit-handler-1", None, None)
    finish_component.python_func(dataset_tag=TAG, recipe="plates", overrides="", status=closing, run_page=page)
    assert page.metadata == called
    assert given in Path(page.path).read_text()


def test_a_run_that_was_opened_before_runs_had_names_keeps_its_id_as_title(pod, tmp_path):
    resolve()
    path = run_folder(home() / "work", RUN) / "run.json"
    document = json.loads(path.read_text())
    del document["name"]
    path.write_text(json.dumps(document))
    finish(tmp_path, failed=True)
    assert f"<h1>{RUN}</h1>" in (tmp_path / "page" / "out").read_text()


def test_the_index_leads_to_the_page_of_a_run_when_it_has_one(pod, webhook, tmp_path):
    resolve()
    write_index(home() / "work")
    index = home() / "work" / "runs" / "index.html"
    assert RUN in index.read_text()
    assert f'href="{RUN}' not in index.read_text()
    do("record", "train")
    finish(tmp_path, failed=False)
    assert f'href="{RUN}/report/index.html"' in index.read_text()


@pytest.mark.parametrize(
    ("state", "host", "reason"),
    [
        ("failed", "sightline-abc-1", "train: disk full"),
        (
            "running",
            "sightline-abc-1",
            f"train: its pod was stopped, evicted or lost; `python pipeline.py resume {RUN}`",
        ),
    ],
)
def test_a_failed_run_says_why(pod, webhook, tmp_path, state, host, reason):
    resolved = resolve()
    fail_in("train", host, state)
    finish(tmp_path, failed=True)
    row = run_row(resolved.config)
    assert row.state == "failed"
    assert row.message.startswith(reason)
    assert reason in webhook[0][0]["text"]
    page = (tmp_path / "page" / "out").read_text()
    assert "train" in page
    assert ">running<" not in page


def test_a_run_that_was_resumed_goes_on_with_its_row(pod, tmp_path):
    resolve()
    started = json.loads((run_folder(home() / "work", RUN) / "run.json").read_text())["started"]
    finish(tmp_path, failed=True)
    resolved = resolve()
    assert run_row(resolved.config).state == "running"
    assert json.loads((run_folder(home() / "work", RUN) / "run.json").read_text())["started"] == started
    do("record", "train")
    finish(tmp_path, failed=True)  # Kubeflow remembers the first time
    assert run_row(resolved.config).state == "succeeded"


def test_a_task_whose_result_kubeflow_had_is_written_down(pod, tmp_path):
    resolved = resolve()
    keep_result(resolved.config)
    do("train")
    finish(tmp_path, failed=False)
    assert run_row(resolved.config).state == "succeeded"
    entry = read_journal(home() / "work", RUN)["record"]
    assert (entry.state, json.loads(entry.result)["training_tag"]) == ("reused", "plates_train_v1")
    assert "Kubeflow&#39;s cache" in (tmp_path / "page" / "out").read_text()


@pytest.mark.parametrize(("kept", "failed"), [(False, False), (True, True)])
def test_a_last_task_that_never_began_is_not_taken_for_done(pod, tmp_path, kept, failed):
    resolved = task.run_resolve("plates", "", TAG, "", steps="record")
    if kept:
        keep_result(resolved.config)
    finish(tmp_path, failed=failed)
    assert run_row(resolved.config).state == "failed"


def select(config):
    """Leave what evaluate leaves when a candidate is to become champion."""
    with journalled(home() / "work", "evaluate", {}) as entry:
        selection = Selection("EIR", "file:///m", "d" * 64, "best", 0.9, "", True, "the first")
        scored = ScoredModel("best", "file:///m", "d" * 64, "plates_train_v1", {"EIR": 0.9})
        files = open_storage(config.storage.uri).uri_of("results/none")
        entry.result = to_json(EvaluateResult("plates_train_v1", [scored], [selection], files, 1.0))


def test_a_broken_pointer_is_not_the_champion_that_was_selected(pod, webhook, tmp_path):
    config = task.run_resolve("plates", "", TAG, "", steps="evaluate").config
    select(config)
    pointer = Path(config.storage.uri.removeprefix("file://")) / "champions/plates/EIR.json"
    pointer.parent.mkdir(parents=True)
    pointer.write_text("{}")
    finish(tmp_path, failed=False)
    assert run_row(config).state == "failed"


@pytest.mark.parametrize(("promoted", "state"), [(False, "failed"), (True, "succeeded")])
def test_a_champion_that_was_selected_must_be_promoted(pod, tmp_path, promoted, state):
    resolved = task.run_resolve("plates", "", TAG, "", steps="evaluate")
    select(resolved.config)
    do(*["promote"] * promoted)
    finish(tmp_path, failed=False)
    assert run_row(resolved.config).state == state


def test_a_refused_configuration_is_told_and_leaves_nothing(pod, webhook, tmp_path):
    with raises(ConfigurationError):
        finish(tmp_path, failed=True, overrides="train.iteratons=1")
    assert "iteratons" in webhook[0][0]["text"]
    assert not (home() / "work").exists()


def test_a_run_that_resolve_did_not_begin_is_told(pod, webhook, tmp_path):
    with pytest.raises(StepError):
        finish(tmp_path, failed=True)
    assert "resolve did not start the run" in webhook[0][0]["text"]


def test_a_run_on_a_laptop_is_left_to_its_keeper(webhook, tmp_path, monkeypatch):
    run = LocalRun.begin("plates", [f"data.tag={TAG}"], ["record"], entry_point="python pipeline.py")
    with run:
        monkeypatch.setenv("SIGHTLINE_RUN_ID", run.document.run_id)
        before = (run.folder / "run.json").read_bytes()
        resolve()
        finish(tmp_path, failed=True)
        assert (run.folder / "run.json").read_bytes() == before
    assert webhook[0] == []
    assert run_row(run.config).state == "succeeded"


def test_the_message_is_sent_though_the_database_is_gone(pod, webhook, tmp_path):
    resolved = resolve()
    do("record", "train")
    Path(resolved.config.database.url.removeprefix("sqlite:///")).write_bytes(b"no database")
    with pytest.raises(DatabaseError):
        finish(tmp_path, failed=False)
    assert "succeeded" in webhook[0][0]["text"]


def test_a_message_is_sent_though_nobody_knows_how_the_run_ended(pod, webhook, tmp_path):
    config = task.run_resolve("plates", "", TAG, "", steps="evaluate").config
    select(config)
    (journal,) = (home() / "work" / "runs").glob("*/tasks/evaluate.json")
    journal.write_text(journal.read_text().replace(r"\"seconds\": 1.0", r"\"seconds\": \"soon\""))
    with raises(StepError):
        finish(tmp_path, failed=False)
    assert "failed: cannot tell whether every task finished" in webhook[0][0]["text"]
    assert run_row(config).state == "failed"


@pytest.mark.parametrize(("answers", "sent", "told"), [([503, 200], 2, True), ([404], 1, False)])
def test_a_webhook_is_asked_again_where_that_can_help(webhook, caplog, answers, sent, told):
    messages, status = webhook
    status[:] = answers
    assert kubeflow_run.notify("hello") is told
    assert [message["text"] for message in messages] == ["hello"] * sent
    assert "canary-hook" not in caplog.text


def test_a_webhook_that_is_not_there_fails_nothing_and_is_not_shown(monkeypatch, caplog):
    monkeypatch.setattr("sightline.runs.notify.ATTEMPTS", 1)
    monkeypatch.setenv("SIGHTLINE_NOTIFY_URL", "http://127.0.0.1:9/services/canary-hook")
    assert kubeflow_run.notify("hello") is False
    assert "notification failed" in caplog.text
    assert "canary-hook" not in caplog.text


def test_two_local_runs_of_one_second_have_names_of_their_own(monkeypatch):
    asked = ("plates", [f"data.tag={TAG}"], ["record"])
    for attempt in range(9):  # the clock may pass a second between the two
        digits = iter([f"{attempt}001", f"{attempt}001", f"{attempt}001", f"{attempt}002"])
        monkeypatch.setattr("sightline.runs.local_run.secrets.token_hex", lambda _, digits=digits: next(digits))
        first, second = (LocalRun.begin(*asked, entry_point="python pipeline.py").document.run_id for _ in range(2))
        if first[:-4] == second[:-4]:
            assert (first[-3:], second[-3:]) == ("001", "002")
            return
    pytest.fail("never two runs in one second")
