"""Which Kubeflow a command speaks to."""

import pytest

from sightline.errors import ConfigurationError, NoKubeflowError
from sightline.kubeflow.client.connection import connect
from sightline.kubeflow.client.profile import Profile, find_profile, profile_path
from tests.golden import raises

FILE = """
default: {host: "http://default:1"}
office: {host: "https://office/pipeline/", namespace: vision, cookie_file: /c, parameters: {train_memory: 8Gi}}
"""


@pytest.fixture
def profiles(sightline_home):
    profile_path().write_text(FILE)


def test_options_win_over_variables_and_those_over_the_file(profiles):
    assert find_profile({}, environment={}).host == "http://default:1"
    assert find_profile({}, environment={"KFP_HOST": "http://variable"}).host == "http://variable"
    assert find_profile({"host": "http://option"}, environment={"KFP_HOST": "http://variable"}).host == "http://option"


def test_a_profile_that_is_named_wins_over_variables(profiles):
    found = find_profile({"namespace": ""}, "office", {"KFP_HOST": "http://variable", "KFP_TOKEN_FILE": "/t"})
    assert found == Profile(
        "https://office/pipeline",
        "vision",
        token_file="/t",
        cookie_file="/c",
        parameters={"train_memory": "8Gi"},
    )
    variables = {"KFP_SYSTEM_NAMESPACE": "pipelines"}
    assert find_profile({}, "office", variables).system_namespace == "pipelines"
    assert find_profile({}, environment={"SIGHTLINE_KUBEFLOW_PROFILE": "office"}).namespace == "vision"


def test_the_variable_of_kfps_own_sdk_counts():
    assert find_profile({}, environment={"KF_PIPELINES_SA_TOKEN_PATH": "/token"}).token_file == "/token"


def test_an_unknown_profile(profiles):
    with raises(ConfigurationError, "'home'", "default, office"):
        find_profile({}, "home", {})


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("default: {hots: x}", "default.hots"),
        ("default: {host: 5}", "default.host"),
        ("default: [x]", "profile default"),
        ("default: {parameters: [x]}", "default.parameters"),
        ("default: {port_forward: maybe}", "default.port_forward"),
    ],
)
def test_a_profile_file_with_faults(sightline_home, text, token):
    profile_path().write_text(text)
    with raises(ConfigurationError, token):
        find_profile({}, environment={})


@pytest.mark.parametrize("host", ["https://me:canary@host", "kubeflow.example.com"])
def test_a_host_that_is_none(host):
    with pytest.raises(ConfigurationError) as caught:
        find_profile({"host": host}, environment={})
    assert "canary" not in str(caught.value)


def test_a_dashboard_that_is_no_url():
    assert find_profile({"dashboard": "https://kf/_/pipeline/"}, environment={}).dashboard == "https://kf/_/pipeline"
    for address in ("kubeflow.example.com", "ftp://kubeflow.example.com"):
        with raises(ConfigurationError, address):
            find_profile({}, environment={"SIGHTLINE_DASHBOARD": address})


def test_nothing_says_where_kubeflow_is(nobodys):
    with raises(NoKubeflowError, "--host", "KFP_HOST"), connect(Profile()):
        pass
