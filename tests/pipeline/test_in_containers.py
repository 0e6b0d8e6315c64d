"""The whole pipeline in the images, by Kubeflow's local runner for containers, with no rights and nothing to write on.

SIGHTLINE_TEST_IMAGES names them, with a comma: that of record, then that of train.  Docker runs them, or podman where
DOCKER_HOST names its socket.
"""

import json
import os
from contextlib import contextmanager

import pytest

import pipeline
from components import BASE_IMAGE, TRAIN_IMAGE
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
DATA = """
sightline demo draw /var/lib/sightline/plates --images 24 --seed 1
sightline data init /var/lib/sightline/data --remote /var/lib/sightline/remote
sightline data add /var/lib/sightline/plates --dataset plates --version v1
"""


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


def folder_of_the_user(path):
    """What is mounted belongs to the user of the images."""
    path.mkdir()
    os.chown(path, 1000, 1000)
    return path


@contextmanager
def called(client, names):
    """Images under the names that the components know them by."""
    there = {tag for image in client.images.list() for tag in image.tags}
    for image, name in names.items():
        assert client.images.get(image).tag(*name.rsplit(":", 1)), name
    yield
    for name in names.values():
        if not any(tag.endswith(name) for tag in there):
            client.images.remove(name)


@pytest.mark.filterwarnings("ignore:.*have no effect in the current local runner")
def test_the_steps_run_in_the_images_without_any_right(images, tmp_path):
    import docker
    from kfp import local

    base, train = images
    volume, root = folder_of_the_user(tmp_path / "work"), folder_of_the_user(tmp_path / "kubeflow")
    mounted = {"/var/lib/sightline": volume, "/etc/sightline": folder_of_the_user(tmp_path / "settings")}
    mounts = [docker.types.Mount(place, str(folder), type="bind") for place, folder in mounted.items()]
    settings = mounted["/etc/sightline"] / "settings.yaml"
    settings.write_text("data: {repository: /var/lib/sightline/data}\n")
    os.chown(settings, 1000, 1000)
    client = docker.from_env()
    client.containers.run(base, ["sh", "-ec", DATA], mounts=mounts, remove=True, **LOCKED)
    local.init(local.DockerRunner(mounts=mounts, **LOCKED), pipeline_root=str(root), raise_on_error=True)
    overrides = "\n".join([*TINY, "train.processes=2"])
    with called(client, {base: BASE_IMAGE, train: TRAIN_IMAGE}):
        pipeline.build(local=True)(dataset_tag="plates_ann_v1", recipe="plates", overrides=overrides)
    champion = json.loads((volume / "bucket/champions/plates/EIR.json").read_text())
    assert champion["training_tag"] == "plates_train_v1"
    assert (volume / champion["uri"].removeprefix("file:///var/lib/sightline/")).is_file()
    (log,) = volume.glob("work/train/*/files/log.txt")
    assert "starting 2 processes" in log.read_text()
    assert {path.stat().st_uid for path in volume.rglob("*")} == {1000}
