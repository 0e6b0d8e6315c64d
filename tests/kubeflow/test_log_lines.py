"""What of a log is the task's own."""

from sightline.kubeflow.watch.log_lines import exit_status, own_lines

LOG = """time=2026-11-21T19:16:43.581Z level=INFO msg="capturing logs" argo=true
I1121 19:16:43.810727      15 main.go:67] Setting log level to: '1'
W1121 19:39:33.068035      15 launcher_v2.go:590] Could not determine retry index from pod annotation
[KFP Executor 2026-11-21 19:16:44,637 INFO]: Got executor_input:
{
    "inputs": {
        "parameterValues": {}
    }
}
working on plates
{
  "this is": "the task's own"
}
E1121 19:16:44.646738      15 launcher_v2.go:449] Component failed to execute successfully: exit status 3
I1121 19:39:33.412318      15 launcher_v2.go:1230] ExecutorOutput: {
  "artifacts": {
  }
}
E1121 19:16:44.700000      15 object_store.go:231] upload of executor-logs failed: no such bucket
F1121 19:16:44.699850      15 main.go:59] failed to execute component: exit status 3
time=2026-11-21T19:16:45.596Z level=INFO msg="sub-process exited" argo=true error="exit status 1"
Error: exit status 1""".splitlines()


def test_kubeflows_lines_go_and_what_went_wrong_there_stays():
    assert list(own_lines(LOG)) == [
        "working on plates",
        "{",
        '  "this is": "the task\'s own"',
        "}",
        "E1121 19:16:44.700000      15 object_store.go:231] upload of executor-logs failed: no such bucket",
    ]


def test_the_exit_code_is_that_of_the_task():
    assert exit_status(LOG) == "3"
    assert exit_status(["hello"]) == ""
