"""The whole pipeline in the images, by Kubeflow's local runner for containers, with no rights and nothing to write on.

SIGHTLINE_TEST_IMAGES names them, with a comma: that of record, then that of train.  Docker runs them, or podman where
DOCKER_HOST names its socket.
"""

import json
import os

import pytest

import pipeline
from tests.e2e.conftest import TINY

pytestmark = pytest.mark.slow

LOCKED = {
    "user": "1000:1000",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "tmpfs": {"/tmp": "rw,size=1g,mode=1777"},
    "shm_size": "1g",
}


def absent(reason):
    """Skip, or fail where this run must not be without containers."""
    if "containers" in os.environ.get("SIGHTLINE_REQUIRE", "").split(","):
        pytest.fail(f"SIGHTLINE_REQUIRE names containers, but {reason}")
    pytest.skip(reason)


@pytest.fixture
def images():
    named = os.environ.get("SIGHTLINE_TEST_IMAGES", "")
    if not named:
        absent("SIGHTLINE_TEST_IMAGES names no images")
    return named.split(",")


@pytest.fixture
def volume(tmp_path):
    """The work volume: a folder that is the images' user's."""
    folder = tmp_path / "work"
    folder.mkdir()
    os.chown(folder, 1000, 1000)
    return folder


def test_the_steps_run_in_the_images_without_any_right(images, volume, tmp_path):
    import docker
    from kfp import local

    base, train = images
    mounts = [docker.types.Mount("/var/lib/sightline", str(volume), type="bind")]
    client = docker.from_env()
    for command in (
        "demo draw /var/lib/sightline/plates --images 24 --seed 1",
        "data init /var/lib/sightline/data --remote /var/lib/sightline/remote",
        "data add /var/lib/sightline/plates --dataset plates --version v1",
    ):
        client.containers.run(base, ["sightline", *command.split()], mounts=mounts, auto_remove=True, **LOCKED)
    root = tmp_path / "kubeflow"
    root.mkdir()
    os.chown(root, 1000, 1000)
    local.init(local.DockerRunner(mounts=mounts, **LOCKED), pipeline_root=str(root), raise_on_error=True)
    overrides = "\n".join(TINY)
    given = {"dataset_tag": "plates_ann_v1", "overrides": overrides, "base_image": base, "train_image": train}
    pipeline.build(local=True)(**given)
    champion = json.loads((volume / "bucket/champions/plates/EIR.json").read_text())
    assert champion["training_tag"] == "plates_train_v1"
    assert (volume / champion["uri"].removeprefix("file:///var/lib/sightline/")).is_file()
    assert {path.stat().st_uid for path in volume.rglob("*")} == {1000}
