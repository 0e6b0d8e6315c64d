"""A real Kubeflow Pipelines, named by KFP_HOST and KUBECONFIG, with what the story's pods need; left as it was."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from dataclasses import dataclass, field

import pytest

from components import BASE_IMAGE
from sightline.errors import KubeflowError, NotThereError
from sightline.kubeflow.client.cluster import NODE_ANNOTATION
from sightline.kubeflow.client.connection import Kubeflow, connect
from sightline.kubeflow.client.profile import find_profile


def absent(reason):
    """Skip, or fail where this run must not be without Kubeflow."""
    if "kubeflow" in os.environ.get("SIGHTLINE_REQUIRE", "").split(","):
        pytest.fail(f"SIGHTLINE_REQUIRE names kubeflow, but {reason}")
    pytest.skip(reason)


def required():
    """Skip, or fail, where KFP_HOST names no Kubeflow."""
    if not os.environ.get("KFP_HOST"):
        absent("KFP_HOST names no Kubeflow")


@dataclass
class World:
    """A corner of a Kubeflow that is this test's own."""

    kubeflow: Kubeflow
    name: str
    image: str
    runs: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)

    @property
    def server(self):
        return self.kubeflow.cluster.server

    @property
    def core(self):
        return f"/api/v1/namespaces/{self.kubeflow.namespace}"

    def make_secret(self, **keys):
        metadata = {"name": self.name}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys}
        self.server.send("POST", f"{self.core}/secrets", body=body)

    def remove_secret(self):
        with contextlib.suppress(NotThereError):
            self.server.send("DELETE", f"{self.core}/secrets/{self.name}")

    def make_volume(self, name=""):
        """A folder of the one node; where a cluster makes volumes by itself, this one is taken nevertheless."""
        name = name or self.name
        self.volumes.append(name)
        size = {"storage": "1Mi"}
        claimed = {"namespace": self.kubeflow.namespace, "name": name}
        common = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
        path = {"path": f"/tmp/{name}", "type": "DirectoryOrCreate"}
        volume = {**common, "capacity": size, "hostPath": path, "claimRef": claimed}
        claim = {**common, "resources": {"requests": size}, "volumeName": name}
        kinds = (("PersistentVolume", "/api/v1/persistentvolumes", volume),)
        kinds += (("PersistentVolumeClaim", f"{self.core}/persistentvolumeclaims", claim),)
        for kind, place, spec in kinds:
            body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
            self.server.send("POST", place, body=body)
        self.until(lambda: self.kubeflow.cluster.find("persistent_volume_claim", name)["status"]["phase"] == "Bound")

    def evict(self, pod):
        """Take a pod from its node, as a drain does."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
        self.server.send("POST", f"{self.core}/pods/{pod}/eviction", body=body)

    def lose(self, run_id, ending):
        """Remove the pod of a run whose place in the graph ends so, as when its node is gone; whether there was one."""
        for pod in self.kubeflow.cluster.pods(run_id):
            place = pod["metadata"]["annotations"].get(NODE_ANNOTATION, "")
            if place.endswith(ending) and pod["status"]["phase"] in {"Pending", "Running"}:
                at_once = {"gracePeriodSeconds": 0}
                self.server.send("DELETE", f"{self.core}/pods/{pod['metadata']['name']}", body=at_once)
                return True
        return False

    def until(self, done, seconds=180):
        """Wait for something that is true soon; what it was."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = done()
            if found:
                return found
            time.sleep(0.5)
        return pytest.fail(f"not within {seconds} s")

    def clear(self):
        """Remove runs, pipeline, experiment, secret and volume."""
        remove(self.kubeflow.api, self.name, self.runs, [self.name])
        for name in self.volumes:
            for path in (f"{self.core}/persistentvolumeclaims/{name}", f"/api/v1/persistentvolumes/{name}"):
                with contextlib.suppress(KubeflowError):
                    self.server.send("DELETE", path)
        self.remove_secret()


def remove(api, experiment, runs, pipelines):
    """Stop and remove runs, with their experiment and their pipelines."""
    paths = []
    for run in runs:
        with contextlib.suppress(KubeflowError):
            api.terminate(run)
        paths.append(f"/apis/v2beta1/runs/{run}")
    found = (api.pipeline_id(name) for name in pipelines)
    paths += [f"/apis/v2beta1/pipelines/{pipeline}?cascade=true" for pipeline in found if pipeline]
    for path in [*paths, f"/apis/v2beta1/experiments/{api.experiment_id(experiment)}"]:
        with contextlib.suppress(KubeflowError):
            api.server.send("DELETE", path)


@pytest.fixture(scope="session")
def kubeflow_world():
    """The Kubeflow of KFP_HOST; TASK_IMAGE names an image there with Python and kfp."""
    required()
    with connect(find_profile({})) as kubeflow:
        world = World(kubeflow, f"story-{secrets.token_hex(3)}", os.environ.get("TASK_IMAGE", BASE_IMAGE))
        try:
            yield world
        finally:
            world.clear()
