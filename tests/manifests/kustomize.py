"""Builds of the manifests, by kustomize itself or the one in kubectl."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

MANIFESTS = Path(__file__).parents[2] / "manifests"
OVERLAYS = sorted(path.parent.name for path in MANIFESTS.glob("overlays/*/kustomization.yaml"))
COMPONENTS = sorted(path.parent.name for path in MANIFESTS.glob("components/*/kustomization.yaml"))


def command():
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    reason = "neither kustomize nor kubectl on PATH"
    if "kustomize" in os.environ.get("SIGHTLINE_REQUIRE", "").split(","):
        pytest.fail(f"SIGHTLINE_REQUIRE names kustomize, but there is {reason}")
    pytest.skip(reason)


def build(folder):
    """The documents that ``kubectl apply -k`` would send."""
    done = subprocess.run([*command(), str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr  # kustomize warns of what it will refuse one day
    return list(yaml.safe_load_all(done.stdout))


def with_everything(folder, overlay):
    """An overlay with every component switched on, as somebody would who needs them all."""
    base = Path(os.path.relpath(MANIFESTS.resolve(), folder.resolve()))
    document = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "kubeflow",
        "resources": [str(base / "overlays" / overlay)],
        "components": [
            str(base / "components" / name)
            for name in COMPONENTS
            if f"../../components/{name}" not in overlay_document(overlay).get("components", [])
        ],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(document))
    return folder


def overlay_document(overlay):
    return yaml.safe_load((MANIFESTS / "overlays" / overlay / "kustomization.yaml").read_text())


def pod_templates(documents):
    """(name, pod specification) of whatever makes pods."""
    for document in documents:
        template = document.get("spec", {}).get("template") if document["kind"] != "PodDefault" else None
        if template:
            yield document["metadata"]["name"], template["spec"]


def containers(specification):
    return specification.get("initContainers", []) + specification["containers"]


def of_kind(documents, kind):
    return {document["metadata"]["name"]: document for document in documents if document["kind"] == kind}
