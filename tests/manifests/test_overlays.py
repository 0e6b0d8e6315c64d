"""Every overlay builds, is valid for the clusters of today, and asks for no more than it needs."""

import itertools

import kubernetes_validate
import pytest
import yaml

from tests.manifests.kustomize import (
    COMPONENTS,
    MANIFESTS,
    OVERLAYS,
    build,
    containers,
    of_kind,
    pod_templates,
    with_everything,
)

# The oldest that a cloud still runs for money, the newest that there is a schema of, and every second one between them:
# what Kubernetes takes away, it announces several minor versions ahead.
VERSIONS = ("1.29", "1.31", "1.33", "1.35", "1.37")

# Custom resources, whose schemas are not Kubernetes' own: (kind, fields of spec that the definition knows).
CUSTOM = {"PodDefault": {"desc", "selector", "env", "envFrom", "volumes", "volumeMounts"}}


@pytest.fixture(scope="module", params=[*OVERLAYS, *(f"{overlay}, everything" for overlay in OVERLAYS)])
def documents(request, tmp_path_factory):
    overlay, _, everything = request.param.partition(", ")
    if everything:
        return build(with_everything(tmp_path_factory.mktemp("overlay"), overlay))
    return build(MANIFESTS / "overlays" / overlay)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_document_is_valid_for_kubernetes(documents, version):
    for document in documents:
        if document["kind"] in CUSTOM:
            assert set(document["spec"]) <= CUSTOM[document["kind"]]
        else:
            kubernetes_validate.validate(document, version, strict=True)


def test_everything_lies_in_one_namespace_and_names_itself_ours(documents):
    namespaced = [document for document in documents if document["kind"] != "PersistentVolume"]
    assert len({document["metadata"].get("namespace") for document in namespaced} - {None}) == 1
    for document in namespaced:
        assert document["metadata"].get("namespace"), document["kind"]
        assert document["metadata"]["name"].startswith("sightline"), document["metadata"]


def test_every_container_is_confined_and_states_what_it_needs(documents):
    roots = []
    for name, specification in pod_templates(documents):
        assert specification["automountServiceAccountToken"] is False, name
        assert specification["serviceAccountName"] == "sightline", name
        assert specification["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in containers(specification):
            context = {**specification["securityContext"], **container["securityContext"]}
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"]["drop"] == ["ALL"]
            assert set(container["resources"]) == {"requests", "limits"}
            assert all({"cpu", "memory"} <= set(amounts) for amounts in container["resources"].values())
            if not context.get("runAsNonRoot"):
                roots.append((name, container["name"], context["capabilities"].get("add")))
    assert roots == [("sightline-volume-owner", "owner", ["CHOWN"])]


def test_no_secret_is_made_by_an_overlay(documents):
    assert not of_kind(documents, "Secret")
    assert "stringData" not in yaml.safe_dump_all(documents)


def test_no_role_may_do_everything_or_read_every_secret(documents):
    for role in of_kind(documents, "Role").values():
        for rule in role["rules"]:
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
            if "secrets" in rule["resources"]:
                assert rule["resourceNames"]
                assert rule["verbs"] == ["get"]  # list and watch would show all of them


def test_whatever_a_pod_names_is_made_here_or_is_optional(documents):
    made = {
        "persistentVolumeClaim": set(of_kind(documents, "PersistentVolumeClaim")),
        "configMap": set(of_kind(documents, "ConfigMap")),
        "account": set(of_kind(documents, "ServiceAccount")),
    }
    for name, specification in pod_templates(documents):
        assert specification["serviceAccountName"] in made["account"]
        for volume in specification["volumes"]:
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in made["persistentVolumeClaim"], name
            if "configMap" in volume:
                assert volume["configMap"]["name"] in made["configMap"], name
        volumes = {volume["name"] for volume in specification["volumes"]}
        for set_ in of_kind(documents, "StatefulSet").values():
            volumes |= {claim["metadata"]["name"] for claim in set_["spec"]["volumeClaimTemplates"]}
        for container in containers(specification):
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes, name
            for variable in container.get("env", []):
                source = variable.get("valueFrom", {}).get("secretKeyRef")
                assert source is None or source["optional"] is True


def test_a_single_node_shares_volumes_that_any_cluster_has():
    claims = of_kind(build(MANIFESTS / "overlays/single-node"), "PersistentVolumeClaim").values()
    assert {mode for claim in claims for mode in claim["spec"]["accessModes"]} == {"ReadWriteOnce"}
    assert not any("storageClassName" in claim["spec"] for claim in claims)


@pytest.mark.parametrize("overlay", sorted(set(OVERLAYS) - {"single-node"}))
def test_several_nodes_share_volumes_that_all_may_write(overlay):
    claims = of_kind(build(MANIFESTS / "overlays" / overlay), "PersistentVolumeClaim").values()
    assert {mode for claim in claims for mode in claim["spec"]["accessModes"]} == {"ReadWriteMany"}


def test_gke_binds_the_account_of_the_tasks_to_one_of_google():
    (account,) = of_kind(build(MANIFESTS / "overlays/gke"), "ServiceAccount").values()
    assert account["metadata"]["annotations"]["iam.gke.io/gcp-service-account"].endswith(".iam.gserviceaccount.com")


def test_folders_of_a_node_become_the_volumes(tmp_path):
    documents = build(with_everything(tmp_path, "single-node"))
    volumes = of_kind(documents, "PersistentVolume")
    for name, claim in of_kind(documents, "PersistentVolumeClaim").items():
        volume = volumes[name]["spec"]
        assert claim["spec"]["volumeName"] == name
        assert claim["spec"]["storageClassName"] == volume["storageClassName"]
        assert set(claim["spec"]["accessModes"]) <= set(volume["accessModes"])
        assert claim["spec"]["resources"]["requests"]["storage"] == volume["capacity"]["storage"]


def test_the_database_lets_in_the_tasks_and_nobody_else(tmp_path):
    documents = build(with_everything(tmp_path, "single-node"))
    policy = of_kind(documents, "NetworkPolicy")["sightline-database"]["spec"]
    (rule,) = policy["ingress"]
    assert [port["port"] for port in rule["ports"]] == [3306]
    assert {"app.kubernetes.io/part-of": "sightline"} in [
        source["podSelector"]["matchLabels"] for source in rule["from"]
    ]
    service = of_kind(documents, "Service")["sightline-database"]["spec"]
    template = of_kind(documents, "StatefulSet")["sightline-database"]["spec"]["template"]
    for selector in (service["selector"], policy["podSelector"]["matchLabels"]):
        assert selector.items() <= template["metadata"]["labels"].items()


def test_no_component_is_left_out_of_these_tests():
    files = {path.parent.name for path in MANIFESTS.glob("components/*/*.yaml")}
    assert files == set(COMPONENTS)
    assert len(list(itertools.chain(OVERLAYS))) == 3
