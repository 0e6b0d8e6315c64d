"""The commands of ``pipeline.py`` as a person sees them, against recorded answers of a real Kubeflow."""

import functools
import json
import re
from datetime import UTC, datetime

import pytest
import yaml
from click.testing import CliRunner

import pipeline
from sightline.config.decode import RENAMED
from sightline.errors import ConfigurationError, NoKubeflowError, NotReadyError, NotThereError, TakenError
from sightline.kubeflow.runs.submit import run_name
from sightline.report import terminal
from tests.golden import raises
from tests.kubeflow.recorded import NAMESPACE, answer, serve, write_kubeconfig

CORE = f"/api/v1/namespaces/{NAMESPACE}"


@pytest.fixture(scope="module", autouse=True)
def compiled_once():
    """Each selection of steps is compiled once: it takes half a second, and equal steps give equal text."""
    once = functools.cache(pipeline.compile_yaml)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "compile_yaml", lambda steps=pipeline.STEPS: once(tuple(steps)))
        yield


@pytest.fixture
def call(server, nobodys, tmp_path):
    """Calls a command; what it prints, and its exit code."""
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", server.url)
    where = ("--host", server.url, "--dashboard", "http://dash", "--namespace", NAMESPACE, "--kubeconfig", kubeconfig)

    def calling(*arguments):
        done = CliRunner().invoke(pipeline.cli, [*arguments, *map(str, where)], standalone_mode=False)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output, done.exit_code

    return calling


def test_no_line_of_the_help_is_cut_in_80_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for arguments in (["--help"], ["schedule", "--help"]):
        shown = CliRunner().invoke(pipeline.cli, arguments).output.partition("Commands:")[2]
        assert len(shown.splitlines()) > 4
        assert "..." not in shown
        assert max(map(len, shown.splitlines())) <= 80


def test_status_of_a_run_that_failed(server, call):
    """Exit code and last lines of the task that failed; the link is whole."""
    recorded = answer("failed")
    run_id = serve(server, recorded)
    lines = call("status", run_id)[0].splitlines()
    assert lines[0].startswith(f"failed  {run_id[:8]}  plates failing_ann_v1")
    begin = next(number for number, line in enumerate(lines) if "x Train candidates  failed" in line)
    assert "1 retry" in lines[begin]
    assert lines[-1] == f"dashboard: http://dash/#/runs/details/{run_id}"


def test_status_as_json(server, call):
    run_id = serve(server, answer("no_sightline"))
    document = json.loads(call("status", run_id, "--json")[0])
    assert (document["run_id"], document["state"]) == (run_id, "failed")
    resolve = document["tasks"][0]["tasks"][0]
    assert (resolve["name"], resolve["image"]) == ("resolve", "localhost/python-kfp:dev")


def test_a_list_names_recipe_and_data_and_says_the_time_once(server, call):
    run_id = serve(server, answer("finished"))
    (line,) = call("list")[0].splitlines()[1:]
    assert line.split() == [run_id[:8], "succeeded", "1", "min", "46", "s", "2026-11-21", "19:10:38", "plates",
                            "quick_ann_v1"]  # fmt: skip


def test_a_list_leaves_the_time_whole_on_a_narrow_terminal(server, call, monkeypatch):
    recorded = answer("finished")
    recorded["run"]["display_name"] = "instance_segmentation some_very_long_dataset_name_ann_v12 20261121-191038-3f2a"
    serve(server, recorded)
    monkeypatch.setattr(terminal, "_PIPED_WIDTH", 80)
    lines = call("list")[0].splitlines()
    assert "2026-11-21 19:10:38" in lines[1]
    assert "20261121" not in "".join(lines)


def test_two_runs_of_one_second_differ_in_name():
    now = datetime(2026, 11, 21, 9, 15, 30, tzinfo=UTC)
    names = {run_name({"recipe": "plates", "dataset_tag": "plates_ann_v1"}, now) for _ in range(5)}
    assert len(names) > 1
    assert all(re.fullmatch(r"plates plates_ann_v1 20261121-091530-[0-9a-f]{4}", name) for name in names)


def link(server, *where):
    """What ``status`` says of the dashboard."""
    run_id = serve(server, answer("finished"))
    done = CliRunner().invoke(pipeline.cli, ["status", "--host", server.url, *where, run_id], standalone_mode=False)
    assert done.exception is None, done.exception
    (line,) = [line for line in done.output.splitlines() if line.startswith("dashboard: ")]
    return line.removeprefix("dashboard: ").replace(run_id, "RUN")


def test_a_link_leads_to_the_dashboard_and_never_to_the_api(server, nobodys, tmp_path):
    assert link(server) == "no address known; set --dashboard or SIGHTLINE_DASHBOARD"
    assert link(server, "--dashboard", "http://dash/") == "http://dash/#/runs/details/RUN"
    where = ("--namespace", NAMESPACE, "--kubeconfig", str(write_kubeconfig(tmp_path / "kubeconfig", server.url)))
    assert link(server, *where).startswith("no address known")
    server.say(f"GET {CORE}/configmaps/sightline-environment", {"data": {"SIGHTLINE_DASHBOARD": "https://told/"}})
    assert link(server, *where) == "https://told/#/runs/details/RUN"
    assert link(server, *where, "--dashboard", "http://dash") == "http://dash/#/runs/details/RUN"


def test_run_without_a_cluster_names_the_local_run(nobodys):
    with raises(NoKubeflowError, "python pipeline.py run --local"):
        CliRunner().invoke(pipeline.cli, ["run"], standalone_mode=False, catch_exceptions=False)
    with pytest.raises(NoKubeflowError) as caught:
        CliRunner().invoke(pipeline.cli, ["list"], standalone_mode=False, catch_exceptions=False)
    assert "--local" not in str(caught.value)


READY = {
    f"GET {CORE}/persistentvolumeclaims/sightline-work": {"metadata": {}, "status": {"phase": "Bound"}},
    f"GET {CORE}/persistentvolumeclaims/sightline-code": {"metadata": {}, "status": {"phase": "Bound"}},
    "GET /api/v1/namespaces/team": {},
}


@pytest.mark.parametrize(
    ("changed", "kind", "token"),
    [
        (["--set", "train.iteration=5"], ConfigurationError, "did you mean iterations"),
        (["--set", "evaluate.select_by=[speed]"], ConfigurationError, "speed"),
        (["--set", "model.backbone=resnet1"], ConfigurationError, "resnet1"),
        (["--set", "data.tag="], ConfigurationError, "--set data.tag="),
        (["--recipe", "mine"], ConfigurationError, "mine"),
        (["--param", "gpus=1"], ConfigurationError, "gpus=1"),
        (["--param", "train_memory=16G i"], ConfigurationError, "train_memory"),
        (["--code", "main"], NotReadyError, "'main'"),
        (["--param", "work_volume=other"], NotReadyError, "volume claim other"),
    ],
)
def test_a_refused_run_leaves_nothing_behind_on_kubeflow(server, call, changed, kind, token):
    for request, answered in READY.items():
        server.say(request, answered)
    with raises(kind, token):
        call("run", "--recipe", "plates", "--set", "data.tag=plates_ann_v1", *changed)
    assert not [asked for asked in server.asked if asked.method != "GET"]


@pytest.mark.parametrize(
    ("name", "changed", "kind", "token"),
    [
        ("weekly", ["--set", "train.iteration=5"], ConfigurationError, "did you mean iterations"),
        ("weekly", ["--param", "work_volume=other"], NotReadyError, "volume claim other"),
        ("nightly", [], TakenError, "nightly"),
    ],
)
def test_a_refused_schedule_leaves_nothing_behind_on_kubeflow(server, call, name, changed, kind, token):
    for request, answered in READY.items():
        server.say(request, answered)
    there = {"recurring_run_id": "1", "display_name": "nightly", "trigger": {}}
    server.say("GET /apis/v2beta1/recurringruns", {"recurringRuns": [there]})
    given = ("--every", "1d", "--recipe", "plates", "--set", "data.tag=plates_ann_v1", *changed)
    with raises(kind, token):
        call("schedule", "add", name, *given)
    assert not [asked for asked in server.asked if asked.method != "GET"]


def test_a_run_that_can_start_is_uploaded_and_started(server, call):
    for request, answered in READY.items():
        server.say(request, answered)
    text = pipeline.compile_yaml()
    spec, platform = yaml.safe_load_all(text)
    made = {"pipeline_id": "p1", "pipeline_version_id": "v1", "display_name": "x"}
    server.say(
        "GET /apis/v2beta1/pipelines/p1/versions/v1",
        made | {"pipeline_spec": {"pipeline_spec": spec, "platform_spec": platform}},
    )
    server.say("GET /apis/v2beta1/pipelines", {})
    server.say("POST /apis/v2beta1/pipelines", made)
    server.say("GET /apis/v2beta1/pipelines/p1/versions", {})
    server.say("POST /apis/v2beta1/pipelines/upload_version", made)
    server.say("GET /apis/v2beta1/experiments", {})
    server.say("POST /apis/v2beta1/experiments", {"experiment_id": "e1"})
    server.say("POST /apis/v2beta1/runs", answer("finished")["run"])
    output, code = call("run", "--recipe", "plates", "--set", "data.tag=plates_ann_v1", "--param", "train_cpu=2")
    assert code == 0, output
    sent = [asked.path for asked in server.asked if asked.method == "POST"]
    assert sent == [
        f"/apis/v2beta1/{each}" for each in ("pipelines", "pipelines/upload_version", "experiments", "runs")
    ]
    body = json.loads([asked.body for asked in server.asked if asked.method == "POST"][-1])
    assert body["experiment_id"] == "e1"
    assert body["runtime_config"]["parameters"]["train_cpu"] == "2"
    assert body["pipeline_version_reference"] == {"pipeline_id": "p1", "pipeline_version_id": "v1"}


def test_logs_of_one_task_and_of_one_that_is_not_there(server, call):
    run_id = serve(server, answer("no_sightline"))
    assert call("logs", run_id, "resolve")[0].splitlines()[-1].startswith("ModuleNotFoundError")
    with raises(NotThereError, "'trian'", "resolve, record, train"):
        call("logs", run_id, "trian")


def test_an_unknown_run(server, call):
    server.say("GET /apis/v2beta1/runs", {})
    for command in ("status", "logs", "rerun", "resume", "stop", "fetch"):
        with raises(NotThereError, "'plates x'"):
            call(command, "plates x")


def test_a_rerun_under_a_name_that_is_another_now(server, call, monkeypatch):
    """Which it was and which it is; setting the new one is all there is to do.  The run fails for want of a volume."""
    monkeypatch.setitem(RENAMED, "train.steps", "train.iterations")
    recorded = answer("no_sightline")
    recorded["run"]["runtime_config"]["parameters"]["overrides"] = "train.steps=800"
    run_id = serve(server, recorded)
    with pytest.raises(ConfigurationError) as caught:
        call("rerun", run_id)
    said = str(caught.value)
    assert f"run {run_id} cannot be repeated" in said
    assert "train.steps: was renamed to train.iterations; set that to 800 instead\nfix it with --set" in said
    server.say("GET /api/v1/namespaces/team", {})
    with pytest.raises(NotReadyError, match="volume claim team-work"):
        call("rerun", run_id, "--set", "train.iterations=800")
    assert not [asked for asked in server.asked if asked.method == "POST"]


def test_a_rerun_prints_the_difference_and_starts_nothing_else(server, call):
    recorded = answer("no_sightline")
    run_id = serve(server, recorded)
    for claim in ("team-work", "team-code"):
        server.say(f"GET {CORE}/persistentvolumeclaims/{claim}", {"metadata": {}, "status": {"phase": "Bound"}})
    server.say("GET /api/v1/namespaces/team", {})
    server.say(f"GET {CORE}/serviceaccounts/pipeline-runner", {})
    server.say("POST /apis/v2beta1/runs", recorded["run"])
    output, code = call("rerun", run_id, "--set", "data.tag=plates_ann_v2", "--set", "seed=7", "--code", "current")
    assert code == 0
    assert output.splitlines()[:4] == [
        f"like run {run_id}  {recorded['run']['display_name']}",
        "  code_rev: image -> current",
        "  dataset_tag: plates_ann_v1 -> plates_ann_v2",
        "  seed: (not set) -> 7",
    ]
    (asked,) = [asked for asked in server.asked if asked.method == "POST"]
    body = json.loads(asked.body)
    changed = {"dataset_tag": "plates_ann_v2", "overrides": "seed=7", "code_rev": "current"}
    assert body["runtime_config"]["parameters"] == recorded["run"]["runtime_config"]["parameters"] | changed
    assert body["pipeline_version_reference"] == recorded["run"]["pipeline_version_reference"]
    assert "enable_caching" not in asked.body.decode()


def test_doctor_as_lines_and_as_json(server, call):
    server.say("GET /apis/v2beta1/runs", {})
    server.say("GET /version/", {"gitVersion": "v1.33.0"})
    server.say("GET /api/v1/namespaces/team", {})
    server.say("GET /api/v1/nodes", {"items": []})
    output, code = call("doctor")
    assert code == 1
    lines = output.splitlines()
    assert f"ok       API: {server.url}: Kubeflow Pipelines 2.17.0, one user" in lines
    fault = "fault    volume sightline-work: the claim is missing: every task would wait for it forever"
    assert lines[lines.index(fault) + 1] == "         -> kubectl apply -k manifests/overlays/..."
    assert lines[-1] == "12 checks: 2 faults, 4 warnings"
    as_json, code = call("doctor", "--json")
    assert (len(json.loads(as_json)), code) == (12, 1)
