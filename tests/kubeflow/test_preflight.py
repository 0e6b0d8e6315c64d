"""What keeps a run from being started, because its pods would wait forever."""

import subprocess
from fractions import Fraction

import pytest

from sightline.errors import NotReadyError
from sightline.kubeflow.capacity import Needs
from sightline.kubeflow.client.cluster import Cluster
from sightline.kubeflow.runs.graph import Vertex, Wants
from sightline.kubeflow.runs.preflight import Findings, check_cluster, check_code, check_dataset
from sightline.kubeflow.runs.preflight_nodes import check_nodes
from tests.golden import raises
from tests.kubeflow.recorded import server_at

CORE = "/api/v1/namespaces/team"
BOUND = {"metadata": {}, "spec": {}, "status": {"phase": "Bound"}}


@pytest.fixture
def cluster(server):
    """A namespace with everything that ``GRAPH`` wants."""
    server.say("GET /api/v1/namespaces/team", {})
    server.say(f"GET {CORE}/secrets/db", {"data": {"password": "Y2FuYXJ5"}})
    server.say(f"GET {CORE}/secrets/git", {"data": {"token": "Y2FuYXJ5"}})
    server.say(f"GET {CORE}/configmaps/settings", {"data": {"settings.yaml": ""}})
    server.say(f"GET {CORE}/persistentvolumeclaims/work", BOUND)
    server.say(f"GET {CORE}/serviceaccounts/sightline", {})
    server.say(f"GET {CORE}/events", {"items": []})
    return Cluster(server_at(server.url), "team")


def task(name, **wants):
    return Vertex(name, name, "task", wants=Wants(**wants))


GRAPH = [
    task(
        "train",
        secrets={"db": frozenset({"password"})},
        config_maps={"settings": frozenset()},
        claims=frozenset({"work"}),
        welcome={"git": frozenset({"token"})},
    ),
    Vertex("g", "g", "group", inside=(task("test", claims=frozenset({"work"})),)),
]


def faults(cluster):
    return check_cluster(cluster, GRAPH, "sightline").faults


def test_nothing_is_missing(cluster):
    check_cluster(cluster, GRAPH, "sightline").require()


@pytest.mark.parametrize(
    ("path", "answer", "token"),
    [
        ("secrets/db", None, "kubectl -n team create secret generic db"),
        ("secrets/db", {"data": {"passwort": "x"}}, "passwort"),
        # Pods start without it, but one that is there without its key is a slip of the pen.
        ("secrets/git", {"data": {}}, "secret git"),
        ("configmaps/settings", None, "ConfigMap settings"),
        ("persistentvolumeclaims/work", None, "test, train"),
        ("persistentvolumeclaims/work", {"metadata": {}, "spec": {}, "status": {"phase": "Lost"}}, "Lost"),
        ("persistentvolumeclaims/work", {"metadata": {"deletionTimestamp": "x"}, "status": {"phase": "Pending"}},
         "claim work"),
        ("serviceaccounts/sightline", None, "service account sightline"),
    ],
)  # fmt: skip
def test_something_is_missing(server, cluster, path, answer, token):
    if answer is None:
        del server.answers[f"GET {CORE}/{path}"]
    else:
        server.say(f"GET {CORE}/{path}", answer)
    (fault,) = faults(cluster)
    with raises(NotReadyError, fault, token):
        check_cluster(cluster, GRAPH, "sightline").require()


def test_a_secret_that_pods_start_without(server, cluster):
    del server.answers[f"GET {CORE}/secrets/git"]
    assert not faults(cluster)


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        ({"reason": "WaitForFirstConsumer", "message": "waiting for first consumer"}, []),
        ({"reason": "ProvisioningFailed", "message": "no storage class"},
         ["volume claim work, needed by test, train, is Pending, not Bound: no storage class"]),
    ],
)  # fmt: skip
def test_a_volume_that_is_not_bound_yet(server, cluster, event, fault):
    server.say(f"GET {CORE}/persistentvolumeclaims/work", {"metadata": {}, "spec": {}, "status": {"phase": "Pending"}})
    server.say(f"GET {CORE}/events", {"items": [event]})
    assert faults(cluster) == fault


@pytest.mark.parametrize(
    ("answer", "faults", "notes"),
    [
        (({"volumeBindingMode": "WaitForFirstConsumer"}, 200), 0, 0),
        (({"volumeBindingMode": "Immediate"}, 200), 1, 0),
        (({"message": "not found"}, 404), 1, 0),
        # It takes a right in the whole cluster: what cannot be known keeps nobody from starting.
        (({"message": "storageclasses is forbidden"}, 403), 0, 1),
    ],
)
def test_a_claim_of_a_storage_class_that_waits_for_the_first_pod(server, cluster, answer, faults, notes):
    claim = {"metadata": {}, "spec": {"storageClassName": "local"}, "status": {"phase": "Pending"}}
    server.say(f"GET {CORE}/persistentvolumeclaims/work", claim)
    server.say(f"GET {CORE}/events", {"items": []})
    server.say("GET /apis/storage.k8s.io/v1/storageclasses/local", *answer)
    found = check_cluster(cluster, GRAPH)
    assert (len(found.faults), len(found.notes)) == (faults, notes)


def test_the_wrong_namespace(server, cluster):
    for request in [request for request in server.answers if "/namespaces/team" in request]:
        del server.answers[request]
    assert faults(cluster) == ["the cluster has no namespace team; set yours with --namespace"]


def test_what_may_not_be_looked_at_is_said(server, cluster):
    server.say(f"GET {CORE}/secrets/db", {"message": "secrets is forbidden"}, 403)
    found = check_cluster(cluster, GRAPH)
    assert not found.faults
    assert "secrets is forbidden" in found.notes[0]


def test_no_cluster_to_look_at():
    assert "set KUBECONFIG" in check_cluster(None, GRAPH).notes[0]


@pytest.fixture
def settings(server, cluster):
    """Sets the cluster's settings file."""

    def say(text):
        server.say(f"GET {CORE}/configmaps/sightline-settings", {"data": {"settings.yaml": text}})

    return say


def test_the_dataset_tag_is_looked_for_where_the_cluster_looks(cluster, settings, tmp_path):
    repository = tmp_path / "data"
    subprocess.run(["git", "init", "-q", repository], check=True)
    commit = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"]
    subprocess.run(["git", *commit], cwd=repository, check=True)
    subprocess.run(["git", "tag", "plates_ann_v1"], cwd=repository, check=True)
    with _served(repository) as url:
        settings(f"data: {{repository: '{url}'}}")
        assert not check_dataset(cluster, "plates_ann_v1").faults
        (fault,) = check_dataset(cluster, "plates_ann_v2").faults
    assert "has no tag 'plates_ann_v2'; it has plates_ann_v1" in fault


def _served(repository):
    from contextlib import contextmanager

    from tests.servers.answering import answering_server

    @contextmanager
    def serving():
        subprocess.run(["git", "update-server-info"], cwd=repository, check=True)
        with answering_server() as server:

            def answer(asked):
                path = repository / ".git" / asked.path.removeprefix("/")
                return (200, path.read_text(), {}) if path.is_file() else (404, "", {})

            for path in ("/info/refs", "/HEAD"):
                server.answers[f"GET {path}"] = answer
            yield server.url

    return serving()


def test_a_repository_on_the_clusters_volume_is_not_asked(cluster, settings):
    settings("data: {repository: /var/lib/sightline/data}")
    found = check_dataset(cluster, "plates_ann_v1")
    assert not found.faults
    assert "was not checked" in found.notes[0]


@pytest.mark.parametrize(
    ("code_rev", "fault", "note"),
    [
        ("image", "", ""),
        ("HEAD", "code revision 'HEAD' is not valid; expected image, current, or", ""),
        ("current", "", "was not checked"),
    ],
)
def test_the_code_revision(cluster, settings, code_rev, fault, note):
    settings("storage: {uri: 'file:///var/lib/sightline/bucket'}")
    found = check_code(cluster, code_rev)
    for expected, got in ((fault, found.faults), (note, found.notes)):
        assert len(got) == bool(expected)
        assert expected in "".join(got)


def test_the_code_revision_in_a_bucket(cluster, settings, bucket_uri):
    from sightline.storage import open_storage

    settings(f"storage: {{uri: '{bucket_uri}'}}")
    storage = open_storage(bucket_uri)
    for revision in ("a" * 64, "a" * 63 + "b"):
        storage.write_bytes(f"code/snapshots/{revision}.json", b"{}")
    assert not check_code(cluster, "a" * 64).notes
    assert "2 snapshots begin with aaaaaaaa" in check_code(cluster, "a" * 8).faults[0]
    assert "must be on the code volume" in check_code(cluster, "b" * 8).notes[0]
    assert "must be on the code volume" in check_code(cluster, "current").notes[0]


def machine(**offered):
    return {"metadata": {"name": "node-1"}, "status": {"allocatable": offered}}


def large(server, *nodes, code=200):
    """What the check of nodes says of two tasks that want 4 CPUs, one of them also a GPU."""
    server.answers["GET /api/v1/nodes"] = (code, {"items": list(nodes), "message": "no"}, {})
    asked = ({"cpu": Fraction(4)}, {"cpu": Fraction(4), "nvidia.com/gpu": Fraction(1)})
    graph = [Vertex(name, name, "task", needs=Needs(needs)) for name, needs in zip("ab", asked, strict=True)]
    return check_nodes(Cluster(server_at(server.url), "team"), graph)


def test_a_run_that_no_node_can_ever_hold_is_refused(server):
    assert large(server, machine(cpu="4", **{"nvidia.com/gpu": "1"})) == Findings()
    (fault,) = large(server, machine(cpu="64")).faults
    assert fault.startswith("b: no node is large enough for 4 cpu, 1 nvidia.com/gpu: the largest, node-1, offers 64")
    assert [fault[:3] for fault in large(server, machine(cpu="3500m")).faults] == ["a: ", "b: "]


def test_who_may_not_list_nodes_is_told_so_and_not_refused(server):
    found = large(server, code=403)
    assert found.faults == []
    assert "permission to list the nodes" in found.notes[0]
