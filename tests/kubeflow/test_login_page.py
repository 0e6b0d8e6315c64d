"""What is a login page, and what only looks like one to somebody who reads letters."""

import pytest

from sightline.data.repository.history import list_tags
from sightline.errors import KubeflowError, NotAuthorisedError, RepositoryError
from sightline.kubeflow.client.login_page import asks_to_sign_in, leads_to_sign_in
from tests.golden import raises

RUNS = "GET /apis/v2beta1/runs"

LOGIN_PAGES = {
    "a password field in a form": "<form method=post><input name=u><input TYPE='Password' name=p></form>",
    "in another language, without a form": "<h1>Anmelden</h1><input type=password autocomplete=current-password>",
    "dex asks which connector": '<a href="/dex/x?client_id=kubeflow&amp;redirect_uri=%2Fcb&state=1">LDAP</a>',
    "oauth2-proxy's button": '<form method="GET" action="/oauth2/start"><input type="hidden" name="rd"></form>',
    "a name first, the secret later": '<form action="https://accounts.example.org/v3"><input type=email></form>',
    "a page that sends on": "<meta http-equiv=refresh content=\"0; URL='https://idp.example.org/saml2/idp'\">",
    "a SAML form that sends itself": "<body onload=go()><form action=/x><input type=hidden name=SAMLRequest></form>",
    "as XHTML": '<input type="password" />',
}
OTHER_PAGES = {
    "letters": "<!doctype html><title>Index of /index</title><p>dex indexes, login, log in, sign in, password</p>",
    "the dashboard": '<title>Kubeflow</title><script src="index.js">var dex = "password"</script><main-page>',
    "a script that draws one": "<script>document.write('<input type=password>')</script>",
    "a comment": "<!-- <form action=/login><input type=password></form> --><p>nginx</p>",
    "a search": '<form action="/search"><input name=q></form><a href="/login">Log in</a>',
    "a list of authors": '<form action="/authors/authority"><input type=text></form>',
    "a link with a query": '<a href="/runs?state=failed&id=3">failed</a>',
    "half a page": "<html><for",
    "nothing": "",
}


@pytest.mark.parametrize("name", LOGIN_PAGES)
def test_a_login_page(name, server, api):
    assert asks_to_sign_in(LOGIN_PAGES[name])
    server.say(RUNS, f"<html>{LOGIN_PAGES[name]}</html>", Content_Type="text/html; charset=utf-8")
    with raises(NotAuthorisedError, server.url):
        api.runs(1)


@pytest.mark.parametrize("name", OTHER_PAGES)
def test_a_page_that_is_none(name, server, api):
    assert not asks_to_sign_in(OTHER_PAGES[name])
    server.say(RUNS, f"<html>{OTHER_PAGES[name]}</html>", Content_Type="text/html")
    with raises(KubeflowError, server.url) as caught:
        api.runs(1)
    assert not isinstance(caught.value, NotAuthorisedError)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/dex/auth?state=x", True),
        ("https://accounts.google.com/o/oauth2/v2/auth?client_id=1", True),
        ("https://login.microsoftonline.com/0/x", True),
        ("https://kc.example.org/realms/r/protocol/openid-connect/y", True),
        ("https://example.org/start?client_id=kubeflow&response_type=code", True),
        ("https://example.org/Login.aspx", True),
        ("https://example.org/pipeline/", False),
        ("https://example.org/dex/index.html", False),
        ("https://example.org/author/blog?state=open", False),
        ("https://loginless.example.org/", False),
        ("https://[broken", False),
        ("", False),
    ],
)
def test_where_an_address_leads(url, expected):
    assert leads_to_sign_in(url) is expected


def test_a_redirect_within_the_host_is_no_login(server, api):
    server.say(RUNS, "", 301, Location="/pipeline/apis/v2beta1/runs?page_size=1")
    with raises(KubeflowError, f"{server.url}/pipeline/apis/v2beta1/runs") as caught:
        api.runs(1)
    assert not isinstance(caught.value, NotAuthorisedError)


@pytest.mark.parametrize("target", ["/login?next=%2F", "https://sso.example.org/", "https://elsewhere.example.org/"])
def test_a_redirect_to_a_sign_in_or_another_host_is_one(server, api, target):
    server.say(RUNS, "", 302, Location=target)
    with raises(NotAuthorisedError, server.url):
        api.runs(1)


def test_git_in_front_of_a_login_page_is_explained(server):
    server.say("GET /data.git/info/refs", "<form>\n<input type=password>\n</form>\n", Content_Type="text/html")
    with raises(RepositoryError, f"{server.url}/data.git"):
        list_tags(f"{server.url}/data.git", 20)
