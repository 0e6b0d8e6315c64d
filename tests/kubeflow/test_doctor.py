"""What ``doctor`` finds, and what it tells to do."""

from dataclasses import replace

import pytest

import pipeline
from sightline.database.engine.connection import connect
from sightline.database.schema.upgrade import upgrade
from sightline.kubeflow.client.cluster import Cluster
from sightline.kubeflow.doctor import inside as doctor_inside
from sightline.kubeflow.doctor.checks import examine
from sightline.kubeflow.doctor.places import examine_places, examine_pod
from sightline.kubeflow.runs.parameters import usual_graph
from tests.kubeflow.recorded import server_at

CORE = "/api/v1/namespaces/team"


def volume(*modes):
    status = {"phase": "Bound", "accessModes": list(modes), "capacity": {"storage": "10Gi"}}
    return {"metadata": {}, "spec": {}, "status": status}


def node(**offered):
    """A node that offers so much, such as ``nvidia.com/gpu``, there written ``gpu``."""
    offers = {"nvidia.com/gpu" if name == "gpu" else name: amount for name, amount in offered.items()}
    return {"metadata": {"name": "node-1"}, "status": {"allocatable": offers}}


@pytest.fixture
def sound(server, kubeflow):
    """A Kubeflow where all is well."""
    server.say("GET /apis/v2beta1/runs", {})
    server.say("GET /version/", {"gitVersion": "v1.33.0"})
    server.say("GET /api/v1/namespaces/team", {})
    server.say(f"GET {CORE}/serviceaccounts/sightline", {})
    for name in ("sightline-work", "sightline-code"):
        server.say(f"GET {CORE}/persistentvolumeclaims/{name}", volume("ReadWriteMany"))
    server.say(f"GET {CORE}/secrets/sightline-database", {"data": {"password": "Y2FuYXJ5"}})
    settings = "storage: {uri: 'file:///var/lib/sightline/bucket'}"
    server.say(f"GET {CORE}/configmaps/sightline-settings", {"data": {"settings.yaml": settings}})
    node = {"status": {"allocatable": {"cpu": "8", "nvidia.com/gpu": "4", "hugepages-2Mi": "0"}}}
    server.say("GET /api/v1/nodes", {"items": [node, node]})
    return replace(kubeflow, cluster=Cluster(server_at(server.url), "team"))


def found(kubeflow):
    return {finding.check: finding for finding in examine(kubeflow)}


def test_all_is_well(sound):
    findings = found(sound)
    assert {name: one.text for name, one in findings.items() if one.level == "fault"} == {}
    assert findings["accelerators"].text == "8 nvidia.com/gpu on 2 nodes"
    assert findings["volume sightline-work"].text == "bound, 10Gi, ReadWriteMany"
    assert findings["places"].remedy == "doctor --in-cluster"


@pytest.mark.parametrize(
    ("path", "answer", "check", "level", "says", "remedy"),
    [
        (f"{CORE}/persistentvolumeclaims/sightline-code", (404, {}), "volume sightline-code", "fault", "is missing",
         "kubectl apply -k"),
        (f"{CORE}/persistentvolumeclaims/sightline-work", (200, volume("ReadWriteOnce")), "volume sightline-work",
         "warning", "ReadWriteOnce", "ReadWriteMany"),
        (f"{CORE}/secrets/sightline-database", (200, {"data": {"pw": "x"}}), "secret sightline-database", "fault",
         "lacks its key password; it has pw", "create secret generic sightline-database --from-literal=password="),
        (f"{CORE}/secrets/sightline-git", (403, {"message": "forbidden"}), "secret sightline-git", "warning",
         "forbidden", "sightline-client"),
        (f"{CORE}/serviceaccounts/sightline", (404, {}), "service account", "warning", "sightline is missing", "apply"),
        (f"{CORE}/configmaps/sightline-settings", (404, {}), "settings", "warning", "is missing", "apply"),
        (f"{CORE}/configmaps/sightline-settings", (200, {"data": {"settings.yaml": "a: [b"}}), "settings", "fault",
         "is not valid YAML", ""),
        ("/api/v1/namespaces/team", (404, {}), "cluster", "fault", "has no namespace team", "create namespace team"),
        # Permissions for the whole cluster, which a user of one namespace does not have.
        ("/api/v1/namespaces/team", (403, {"message": "no"}), "cluster", "ok", "not checked", ""),
        ("/api/v1/nodes", (403, {"message": "forbidden"}), "nodes", "warning", "list nodes",
         "ask an administrator"),
        ("/api/v1/nodes", (200, {"items": [node(cpu="8")]}), "accelerators", "warning", "wait forever",
         "accelerator_count=0"),
        ("/api/v1/nodes", (200, {"items": []}), "nodes", "warning", "has no node", "add one"),
        ("/apis/v2beta1/runs", (401, {"message": "who?"}), "API", "fault", "rejected the credentials", "--host"),
    ],
)  # fmt: skip
def test_something_is_amiss(server, sound, path, answer, check, level, says, remedy):
    server.answers[f"GET {path}"] = (*answer, {})
    finding = found(sound)[check]
    assert (finding.level, says in finding.text, remedy in finding.remedy) == (level, True, True), finding


def test_doctor_compares_what_runs_ask_for_with_what_nodes_offer(server, sound):
    def said(usual, **offered):
        server.say("GET /api/v1/nodes", {"items": [node(**offered)]})
        graph = usual_graph(pipeline.compile_yaml(), usual)
        return [finding for finding in examine(sound, graph) if finding.check in {"nodes", "accelerators"}]

    assert [one.level for one in said({}, cpu="8", memory="64Gi", gpu="1")] == ["ok", "ok", "ok"]
    accelerators, light, heavy = said({}, cpu="8", memory="64Gi")
    assert (accelerators.level, light.level, heavy.level) == ("warning", "ok", "warning")
    assert heavy.text.startswith("train, evaluate, test: no node is large enough for 4 cpu, 16Gi memory, 1 nvidia")
    assert "the largest, node-1, offers 8 cpu, 64Gi memory, no nvidia.com/gpu" in heavy.text
    assert "--param accelerator_count=0" in heavy.remedy
    assert [one.level for one in said({"accelerator_count": 0}, cpu="8", memory="64Gi")] == ["ok", "ok", "ok"]
    small = said({"accelerator_count": 0, "train_cpu": 16}, cpu="8", memory="64Gi")[-1]
    assert (small.level, "--param train_cpu" in small.remedy) == ("warning", True)


def test_volumes_and_secrets_have_the_names_that_the_profile_gives_them(server, sound):
    server.say(f"GET {CORE}/persistentvolumeclaims/disk", volume("ReadWriteMany"))
    server.say(f"GET {CORE}/secrets/sql", {"data": {"pw": "Y2FuYXJ5"}})
    findings = found(replace(sound, parameters={"work_volume": "disk", "database_secret": "sql"}))
    assert findings["volume disk"].level == "ok"
    assert "lacks its key password" in findings["secret sql"].text
    assert not findings.keys() & {"volume sightline-work", "secret sightline-database"}


def test_in_a_namespace_that_is_not_there_nothing_more_is_looked_for(server, sound):
    del server.answers["GET /api/v1/namespaces/team"]
    assert [finding.check for finding in examine(sound)] == ["API", "cluster"]


def test_a_cluster_that_does_not_answer_is_asked_once(sound):
    gone = replace(sound, cluster=Cluster(server_at("http://127.0.0.1:1"), "team"))
    api, cluster = examine(gone)
    assert (api.level, cluster.level) == ("ok", "fault")
    assert "connection refused; set --host" in cluster.text


def test_places_that_are_well_and_places_that_are_not(tmp_path):
    from sightline.data.repository.creation import add_annotations, init_repository
    from sightline.data.tags import DatasetTag
    from tests.labelled_folder import names, write_images

    repository = tmp_path / "data"
    init_repository(repository, (tmp_path / "remote").as_uri())
    bucket, url = (tmp_path / "bucket").as_uri(), f"sqlite:///{tmp_path / 'db.sqlite'}"
    first = {finding.check: finding for finding in examine_places(bucket, str(repository), url)}
    assert [first[check].level for check in ("bucket", "data repository", "database")] == ["ok", "warning", "fault"]
    upgrade(connect(url))
    add_annotations(repository, write_images(tmp_path / "plates", names(2)), DatasetTag("plates", "ann", "v1"))
    second = {finding.check: finding for finding in examine_places(bucket, str(repository), url)}
    assert {finding.level for finding in second.values()} == {"ok"}
    assert "of plates_ann_v1" in second["data repository"].text
    assert not list((tmp_path / "bucket" / "doctor").glob("*"))


def test_a_volume_that_is_not_mounted(tmp_path):
    (finding,) = (one for one in examine_pod(tmp_path, tmp_path / "code") if one.check == "code volume")
    assert (finding.level, "No such file" in finding.text) == ("fault", True)


def test_code_that_was_changed_on_the_volume(tmp_path):
    from sightline.code import make_snapshot, publish_to_volume

    volume = tmp_path / "code"
    volume.mkdir()
    (nothing,) = doctor_inside._code(volume)
    assert (nothing.level, "nothing was published" in nothing.text) == ("warning", True)
    published = publish_to_volume(make_snapshot(), volume)
    source = next((volume / "snapshots" / published.manifest.revision).rglob("errors.py"))
    source.chmod(0o644)
    source.write_text("changed")
    (changed,) = doctor_inside._code(volume)
    assert changed.level == "fault"
