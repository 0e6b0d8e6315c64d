"""What a person reads when Kubeflow does not answer, refuses, or is not Kubeflow."""

import socket
import threading
from functools import partial

import pytest

from sightline.errors import (
    ConfigurationError,
    KubeflowError,
    NotAuthorisedError,
    NotThereError,
    TakenError,
    UnreachableError,
)
from sightline.kubeflow.client import server as client_server
from sightline.kubeflow.client.pipelines_api import PipelinesApi
from sightline.kubeflow.client.secret_files import headers_from_files
from tests.golden import raises
from tests.kubeflow.recorded import server_at

RUNS = "GET /apis/v2beta1/runs"
COOKIE = "authservice_session=canary-7f3a91"


def message(api, kind, call=lambda api: api.runs(1)):
    with pytest.raises(kind) as caught:
        call(api)
    assert COOKIE not in str(caught.value)
    return str(caught.value)


def test_nobody_listens(api):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    text = message(PipelinesApi(server_at(url), ""), UnreachableError)
    assert text == f"the API does not answer at {url}: connection refused; set --host"


def test_there_is_no_such_host():
    text = message(PipelinesApi(server_at("http://nowhere.invalid"), ""), UnreachableError)
    assert "no such host; set --host" in text


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        # The API server of a multi-user Kubeflow, without a user's header.
        (401, {"error": "User identity is empty in the request header.", "code": 16}, NotAuthorisedError,
         "rejected the credentials"),
        # The same, but as older versions say it.
        (500, {"message": "Unauthenticated: Request header error: there is no user identity"}, NotAuthorisedError,
         "rejected the credentials"),
        # Another team's namespace.
        (403, {"message": "PermissionDenied: User 'me' is not authorized with reason: ..."}, NotAuthorisedError,
         "--namespace"),
        (404, {"message": "Run x not found"}, NotThereError, "Run x not found"),
        (409, {"message": "already exist"}, TakenError, "(409): already exist"),
        (500, {"message": 'workflows "x" is forbidden: exceeded quota: runs, used: 5'}, KubeflowError,
         "exceeded quota: runs"),
        # Kubernetes calls a used-up quota forbidden; another namespace would not help.
        (403, {"kind": "Status", "message": "exceeded quota: pods"}, KubeflowError, "exceeded quota: pods"),
        (500, "<html>nginx</html>", KubeflowError, "(500): a web page"),
    ],
)  # fmt: skip
def test_a_refusal(server, api, status, body, kind, says):
    server.say(RUNS, body, status)
    assert says in message(api, kind)


@pytest.mark.parametrize("before", range(570, 610, 5))
def test_half_a_secret_is_not_shown(server, before):
    """A long message is shortened."""
    server.say(RUNS, {"message": "x" * before + f"; {COOKIE}"}, 500)
    api = PipelinesApi(server_at(server.url, lambda: {"Cookie": COOKIE}), "team")
    shown = message(api, KubeflowError)
    assert COOKIE.partition("=")[2][:4] not in shown


def test_a_quota_is_no_question_of_rights(server, api):
    server.say(RUNS, {"message": "exceeded quota: pods"}, 403)
    with pytest.raises(KubeflowError) as caught:
        api.runs(1)
    assert not isinstance(caught.value, NotAuthorisedError)


def test_a_login_page_in_place_of_the_api(server, api):
    server.say(RUNS, "<html><form>Log in to Your Account <input type=password></form>", Content_Type="text/html")
    assert "answered with a login page" in message(api, NotAuthorisedError)


def test_a_redirect_to_a_login_is_not_followed(server, api):
    server.say(RUNS, "", 302, Location="/dex/auth?state=x")
    assert "probably a login page" in message(api, NotAuthorisedError)
    assert len(server.asked) == 2  # health and runs


def test_the_web_page_of_the_dashboard_in_place_of_the_api(server, api):
    server.say(RUNS, "<!doctype html><title>Kubeflow Pipelines</title>", Content_Type="text/html; charset=utf-8")
    assert "the address may lack its path, such as /pipeline" in message(api, KubeflowError)


def test_something_else_answers(server, api):
    server.say(RUNS, "hello")
    assert "not valid JSON" in message(api, KubeflowError)


def test_an_api_of_another_version(server, api):
    del server.answers["GET /apis/v2beta1/healthz"]
    assert "has no /apis/v2beta1; Sightline requires Kubeflow Pipelines 2.x" in message(api, KubeflowError)


def test_an_api_that_says_it_is_of_another_version(server, api):
    server.say("GET /apis/v2beta1/healthz", {"tag_name": "1.8.5"})
    assert "is version 1.8.5; Sightline requires 2.x" in message(api, KubeflowError)


def test_an_answer_that_comes_at_the_second_try(server, api):
    answers = iter([(503, {"message": "starting"}, {}), (200, {"runs": []}, {})])
    server.answers[RUNS] = lambda asked: next(answers)
    assert api.runs(1) == []


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_says_when_to_come_back(server, api, status):
    answers = iter([(status, {"message": "busy"}, {"Retry-After": "0"})] * 2 + [(200, {"runs": []}, {})])
    server.answers[RUNS] = lambda asked: next(answers)
    assert api.runs(1) == []


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_that_stays_busy(server, api, status):
    server.say(RUNS, {"message": "busy"}, status, Retry_After="0")
    assert f"({status}): busy; " in message(api, KubeflowError)
    assert [asked.path for asked in server.asked].count("/apis/v2beta1/runs") == 3


def test_only_a_question_is_repeated(server, api):
    server.say("POST /apis/v2beta1/runs/r:terminate", {"message": "busy"}, 503, Retry_After="0")
    message(api, KubeflowError, lambda api: api.terminate("r"))
    assert [asked.method for asked in server.asked].count("POST") == 1


def test_a_server_that_says_nothing(monkeypatch):
    monkeypatch.setattr(client_server, "READ_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        assert "it took too long; set --host" in message(PipelinesApi(server_at(url), ""), UnreachableError)


def test_an_answer_that_breaks_off(server, api):
    server.say(RUNS, '{"runs": [', Content_Length="100")
    assert "(the connection was closed); run the command again" in message(api, UnreachableError)


def test_something_that_speaks_no_http():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer_twice, args=(listening,))
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        assert f"does not answer at {url}" in message(PipelinesApi(server_at(url), ""), UnreachableError)
        thread.join()


def answer_twice(listening):
    for _ in range(2):
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")


@pytest.mark.parametrize(
    "url", ["http://kubeflow example.com", "http://[::1", "http://host:99999", "ftp://kubeflow.example.com", "http://"]
)
def test_a_host_that_is_no_address(url):
    assert url in message(None, ConfigurationError, lambda _: PipelinesApi(server_at(url), "").health)


def test_a_refusal_that_is_not_text(server, api):
    server.answers[RUNS] = lambda asked: (500, "caf\xe9", {"Content-Type": "text/plain; charset=latin-1"})
    assert "(500): caf" in message(api, KubeflowError)


def test_a_login_page_in_place_of_a_log(server, api):
    page = "<form><input type=password></form>"
    server.say("GET /apis/v1alpha1/runs/r/nodes/n/log", page, Content_Type="text/html")
    message(api, NotAuthorisedError, lambda api: list(api.log_lines("r", "n")))


def test_a_log_that_breaks_off(server, api):
    """The server ends in the middle: the lines that came are shown, and then that more should have come."""
    half = "4\r\none\n\r\n3\r\ntw"
    server.say("GET /apis/v1alpha1/runs/r/nodes/n/log", half, Transfer_Encoding="chunked")
    lines = api.log_lines("r", "n")
    assert next(lines) == "one"
    with raises(UnreachableError, server.url):
        list(lines)


def test_a_cookie_is_sent_and_never_shown(server, tmp_path):
    (tmp_path / "cookie").write_text(COOKIE + "\n")
    own = server_at(server.url, partial(headers_from_files, "", str(tmp_path / "cookie")))
    assert "canary" not in repr(own)
    server.say(RUNS, {"message": f"bad cookie {COOKIE}"}, 401)
    assert "bad cookie ***" in message(PipelinesApi(own, ""), NotAuthorisedError)
    assert server.asked[-1].headers["Cookie"] == COOKIE
    assert COOKIE not in repr(own)


def test_a_token_is_read_anew_for_each_request(server, tmp_path):
    token = tmp_path / "token"
    own = server_at(server.url, partial(headers_from_files, str(token), ""))
    server.say("GET /x", {})
    for text in ("first", "second"):
        token.write_text(text)
        own.send("GET", "/x")
    assert [asked.headers["Authorization"] for asked in server.asked] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize(
    "content",
    [None, "", "a\nb", "a\x07b"],
)
def test_a_token_file_that_is_none(tmp_path, content):
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with raises(NotAuthorisedError, path):
        headers_from_files(str(path), "")


def test_a_multi_user_kubeflow_wants_a_namespace(server):
    server.say("GET /apis/v2beta1/healthz", {"tag_name": "2.17.0", "multi_user": True})
    api = PipelinesApi(server_at(server.url), "")
    assert "set your namespace with --namespace" in message(api, KubeflowError)


def test_a_multi_user_kubeflow_is_told_the_namespace(server, api):
    server.say("GET /apis/v2beta1/healthz", {"tag_name": "2.17.0", "multi_user": True})
    server.say(RUNS, {})
    api.runs(1)
    assert server.asked[-1].query["namespace"] == "team"


def test_a_log_that_is_nowhere_is_an_error_though_the_api_says_200(server, api):
    path = "GET /apis/v1alpha1/runs/r/nodes/n/log"
    server.say(path, '{"error_message":"Failed to read logs for run r","error_details":"..."}')
    with raises(NotThereError, "n"):
        list(api.log_lines("r", "n"))
    server.say(path, "one\ntwo")
    assert list(api.log_lines("r", "n")) == ["one", "two"]
