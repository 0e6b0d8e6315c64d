"""Fetching published weights: cache, mirror, publishers that cannot be reached, damaged downloads."""

import hashlib
import json
import time
from contextlib import contextmanager

import pytest
import torch
from click.testing import CliRunner
from huggingface_hub import constants
from safetensors.torch import load_file, save
from torchvision.models import get_weight, resnet18

from sightline.cli import cli
from sightline.errors import ConfigurationError, ModelFileError, StepError, StorageError
from sightline.models.safetensors_file import read_metadata
from sightline.models.weights.sources import full_name
from sightline.models.weights.stored import cached_weights, fill_mirror, origin_of
from sightline.storage import open_storage
from tests.golden import raises
from tests.models.weights.published import publish
from tests.servers.answering import answering_server

NAME = "ResNet18_Weights.IMAGENET1K_V1"
TIMM_NAME = "timm:test_resnet.r160_in1k"
TIMM_PATH = "/timm/test_resnet.r160_in1k/resolve"
REVISION = "c" * 40


@pytest.fixture(scope="module")
def tensors():
    return {name: tensor for name, tensor in resnet18(weights=None).state_dict().items() if name.startswith("conv1")}


@pytest.fixture
def published(monkeypatch, tmp_path, tensors):
    return publish(monkeypatch, NAME, tensors, tmp_path / "publisher")


def test_weights_are_downloaded_once_and_say_where_they_come_from(published, tmp_path, tensors):
    digest = hashlib.sha256(published.read_bytes()).hexdigest()
    path = cached_weights(NAME, tmp_path / "cache")
    assert path == tmp_path / "cache" / f"{NAME}.safetensors"
    assert torch.equal(load_file(path)["conv1.weight"], tensors["conv1.weight"])
    origin = origin_of(read_metadata(path), path)
    assert (origin.name, origin.source, origin.source_sha256) == (NAME, published.as_uri(), digest)
    published.unlink()
    assert cached_weights(NAME, tmp_path / "cache") == path
    names = {file.name for file in (tmp_path / "cache").rglob("*") if file.is_file()}
    assert names == {f"{NAME}.safetensors", f"{NAME}.json", NAME}  # the last one is the lock


@pytest.mark.parametrize("damage", ["a bit of the tensors", "the entry", "no entry"])
def test_a_damaged_copy_in_the_cache_is_replaced(damage, published, tmp_path):
    path = cached_weights(NAME, tmp_path / "cache")
    whole, entry = path.read_bytes(), path.with_suffix(".json")
    if damage == "a bit of the tensors":
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    elif damage == "the entry":
        entry.write_text("{")
    else:
        entry.unlink()
    assert cached_weights(NAME, tmp_path / "cache").read_bytes() == whole


def test_files_of_a_killed_download_are_removed(published, tmp_path):
    left = tmp_path / "cache" / f".{NAME}.safetensors.part"
    left.mkdir(parents=True)
    (left / "half.pth").write_bytes(b"half")
    (tmp_path / "cache" / f".{NAME}.safetensors.17.part").write_bytes(b"half")
    (tmp_path / "cache" / ".Other.safetensors.part").mkdir()
    cached_weights(NAME, tmp_path / "cache")
    assert {path.name for path in (tmp_path / "cache").glob(".*part")} == {".Other.safetensors.part"}


def test_a_damaged_download_is_refused_and_removed(published, tmp_path):
    data = published.read_bytes()
    published.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ModelFileError, match="the download is damaged"):
        cached_weights(NAME, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == [NAME]  # the lock


@pytest.mark.parametrize("name", [NAME, TIMM_NAME])
def test_without_a_network_the_ways_out_are_named_at_once(name, monkeypatch, tmp_path):
    nobody = "http://127.0.0.1:9"  # nothing listens there
    monkeypatch.setattr(get_weight(NAME).value, "url", f"{nobody}/resnet18-12345678.pth")
    use_hub(monkeypatch, nobody)
    began = time.monotonic()
    with pytest.raises(StepError) as caught:
        cached_weights(name, tmp_path / "cache")
    assert time.monotonic() - began < 30
    for way in (f"sightline model mirror {name} gs://", "model.weights_mirror", "path or URI", "model.weights=none"):
        assert way in str(caught.value)


def use_hub(monkeypatch, url):
    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@contextmanager
def hub(monkeypatch, content, digest=None):
    """A server that speaks as the Hugging Face Hub does about one file."""
    with answering_server() as server:
        use_hub(monkeypatch, server.url)
        headers = {
            "ETag": f'"{digest or hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": REVISION,
            "Content-Length": str(len(content)),
        }
        for revision in ("main", REVISION):
            for method in ("HEAD", "GET"):
                server.answers[f"{method} {TIMM_PATH}/{revision}/model.safetensors"] = (200, content, headers)
        yield server


def test_weights_of_timm_come_from_the_hub(monkeypatch, tmp_path, tensors):
    with hub(monkeypatch, save(tensors)) as server:
        path = cached_weights(full_name("timm:test_resnet"), tmp_path / "cache")
        assert path == tmp_path / "cache" / "timm" / "test_resnet.r160_in1k.safetensors"
        origin = origin_of(read_metadata(path), path)
        assert (origin.name, origin.source) == (TIMM_NAME, f"{server.url}{TIMM_PATH}/main/model.safetensors")
        assert torch.equal(load_file(path)["conv1.weight"], tensors["conv1.weight"])


def test_a_file_of_the_hub_with_another_digest_is_refused(monkeypatch, tmp_path, tensors):
    wrong = hub(monkeypatch, save(tensors), digest="a" * 64)
    with wrong, pytest.raises(ModelFileError, match="the download is damaged"):
        cached_weights(TIMM_NAME, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_a_file_of_the_hub_without_a_digest_is_refused(monkeypatch, tmp_path, tensors):
    with hub(monkeypatch, save(tensors), digest="a" * 40), pytest.raises(ModelFileError, match="no SHA-256"):
        cached_weights(TIMM_NAME, tmp_path / "cache")


def test_the_hub_without_the_file_is_named(monkeypatch, tmp_path, tensors):
    with hub(monkeypatch, save(tensors)) as server:
        server.answers.clear()
        with pytest.raises((ModelFileError, StepError), match=r"test_resnet\.r160_in1k"):
            cached_weights(TIMM_NAME, tmp_path / "cache")


@pytest.mark.parametrize("name", ["timm:test_resnet.x", "timm:test_mambaout", "timm:nothing", "ResNet18_Weights.V9"])
def test_weights_that_nobody_publishes_are_refused(name):
    with raises(ConfigurationError, "model.weights"):
        full_name(name)


def test_a_mirror_is_filled_once_and_used_instead_of_the_publisher(published, tmp_path):
    mirror = open_storage(str(tmp_path / "mirror"))
    assert fill_mirror(NAME, tmp_path / "first", mirror)
    generations = {info.key: info.generation for info in mirror.list()}
    assert set(generations) == {f"{NAME}.safetensors", f"{NAME}.json"}
    assert not fill_mirror(NAME, tmp_path / "second", mirror)
    assert {info.key: info.generation for info in mirror.list()} == generations
    published.unlink()
    path = cached_weights(NAME, tmp_path / "cache", mirror.uri)
    entry = json.loads(mirror.read_bytes(f"{NAME}.json")[0])
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
    assert path.read_bytes() == (tmp_path / "first" / f"{NAME}.safetensors").read_bytes()


def test_a_mirror_without_the_weights_is_named_and_the_publisher_is_not_asked(published, tmp_path):
    with raises(StepError, f"sightline model mirror {NAME}", "model.weights_mirror"):
        cached_weights(NAME, tmp_path / "cache", str(tmp_path / "mirror"))


def test_a_damaged_mirror_is_refused_and_filled_again(published, tmp_path):
    mirror = open_storage(str(tmp_path / "mirror"))
    fill_mirror(NAME, tmp_path / "first", mirror)
    whole = mirror.read_bytes(f"{NAME}.safetensors")[0]
    mirror.write_bytes(f"{NAME}.safetensors", whole[:-1] + bytes([whole[-1] ^ 1]))
    with raises(ModelFileError, f"sightline model mirror {NAME}"):
        cached_weights(NAME, tmp_path / "cache", mirror.uri)
    assert not list((tmp_path / "cache").rglob("*.safetensors"))
    mirror.delete(f"{NAME}.safetensors")
    assert fill_mirror(NAME, tmp_path / "first", mirror)
    assert cached_weights(NAME, tmp_path / "cache", mirror.uri).read_bytes() == whole
    mirror.write_bytes(f"{NAME}.json", b"{")
    with raises(StorageError, f"{NAME}.json"):
        cached_weights(NAME, tmp_path / "other", mirror.uri)


def test_the_command_fills_a_mirror(published, tmp_path):
    mirror = str(tmp_path / "mirror")
    first = CliRunner().invoke(cli, ["model", "mirror", NAME, mirror])
    second = CliRunner().invoke(cli, ["model", "mirror", NAME, mirror])
    assert first.stdout == f"{NAME}: copied to file://{mirror}\n"
    assert second.stdout == f"{NAME}: already in file://{mirror}\n"


def test_the_command_checks_all_names_before_it_downloads(published, tmp_path):
    result = CliRunner().invoke(cli, ["model", "mirror", NAME, "timm:nothing", str(tmp_path / "mirror")])
    assert isinstance(result.exception, ConfigurationError)
    assert not (tmp_path / "mirror").exists()
