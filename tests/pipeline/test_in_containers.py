"""The pipeline of each task in the images, by Kubeflow's local runner for containers, without rights or writable disk.

SIGHTLINE_TEST_IMAGES names them, with a comma: that of record, then that of train.  Docker runs them, or podman where
DOCKER_HOST names its socket.
"""

import json
import os
from contextlib import contextmanager

import pytest

import pipeline
from components import BASE_IMAGE, TRAIN_IMAGE
from tests.tiny_demos import TINY_DEMOS

pytestmark = pytest.mark.slow

LOCKED = {
    "user": "1000:1000",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "tmpfs": {"/tmp": "rw,size=1g,mode=1777"},
    "shm_size": "1g",
    "environment": {"OMP_NUM_THREADS": "1"},  # the networks are tiny
}
DATA = """
sightline demo draw /var/lib/sightline/photos --kind {kind} --images {images} --seed 1 {drawing}
sightline data init /var/lib/sightline/data --remote /var/lib/sightline/remote
sightline data add /var/lib/sightline/photos --dataset {kind} --version v1
"""


def absent(reason):
    """Skip, or fail where this run must not be without containers."""
    if "containers" in os.environ.get("SIGHTLINE_REQUIRE", "").split(","):
        pytest.fail(f"SIGHTLINE_REQUIRE names containers, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def client():
    """Docker, with the images under the names that the components know them by."""
    import docker

    images = os.environ.get("SIGHTLINE_TEST_IMAGES", "")
    if not images:
        absent("SIGHTLINE_TEST_IMAGES names no images")
    base, train = images.split(",")
    client = docker.from_env()
    with called(client, {base: BASE_IMAGE, train: TRAIN_IMAGE}):
        yield client
    client.close()


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
@pytest.mark.parametrize("task", TINY_DEMOS)
def test_the_steps_run_in_the_images_without_any_right(task, client, tmp_path):
    import docker
    from kfp import local

    demo = TINY_DEMOS[task]
    volume, root = folder_of_the_user(tmp_path / "work"), folder_of_the_user(tmp_path / "kubeflow")
    mounted = {"/var/lib/sightline": volume, "/etc/sightline": folder_of_the_user(tmp_path / "settings")}
    mounts = [docker.types.Mount(place, str(folder), type="bind") for place, folder in mounted.items()]
    settings = mounted["/etc/sightline"] / "settings.yaml"
    settings.write_text("data: {repository: /var/lib/sightline/data}\n")
    os.chown(settings, 1000, 1000)
    drawing = DATA.format(kind=demo.kind, images=demo.images, drawing=demo.drawing)
    client.containers.run(BASE_IMAGE, ["sh", "-ec", drawing], mounts=mounts, remove=True, **LOCKED)
    local.init(local.DockerRunner(mounts=mounts, **LOCKED), pipeline_root=str(root), raise_on_error=True)
    overrides = "\n".join([*demo.overrides, "train.processes=2"])
    pipeline.build(local=True)(dataset_tag=f"{demo.kind}_ann_v1", recipe=demo.recipe, overrides=overrides)
    champion = json.loads((volume / f"bucket/champions/{demo.champion}.json").read_text())
    assert champion["training_tag"] == f"{demo.kind}_train_v1"
    assert (volume / champion["uri"].removeprefix("file:///var/lib/sightline/")).is_file()
    (log,) = volume.glob("work/train/*/files/log.txt")
    assert "starting 2 processes" in log.read_text()
    assert {path.stat().st_uid for path in volume.rglob("*")} == {1000}
