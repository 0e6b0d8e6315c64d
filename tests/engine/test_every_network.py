"""The features of the engine work for every network: one row for each network, one test for each feature."""

import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from sightline.engine.checkpoints import Checkpoints
from sightline.errors import ConfigurationError, StepError
from sightline.evaluation.parity import compare_predictions
from sightline.models.model_file import read_card, save_model
from sightline.models.weights.check import check_weights
from sightline.prediction.exported import ExportedModel
from sightline.prediction.exporting import export_model
from sightline.tasks.base import load_predictor
from sightline.tasks.detection.transformer_settings import RfDetr
from sightline.tasks.exporters import agreement
from tests.engine.every_network import INTERRUPTED_AT, ITERATIONS, differing_pixels, moments, prepare, train
from tests.every_network import NETWORKS, registered_networks, shrink_rfdetr

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:tensorboard.*")]

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4
"""Relative difference of a loss in two processes, from the order of additions."""


def test_every_registered_network_is_in_the_matrix():
    assert {tiny.network for tiny in NETWORKS} == registered_networks()
    assert len({str(tiny) for tiny in NETWORKS}) == len(NETWORKS)
    fine = {tiny.model.is_high_resolution for tiny in NETWORKS if tiny.network == "keypoints/heatmap"}
    assert fine == {True, False}
    assert {len(tiny.sets) > 1 for tiny in NETWORKS if tiny.task == "classification"} == {True, False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        shrink_rfdetr(patch)
        yield tmp_path_factory.mktemp("every_network")


@pytest.fixture(scope="module")
def prepared(folder):
    """Prepares the folder of a network once: its published weights, and what ``model.weights`` is in all trainings."""
    known = {}

    def prepare_once(place):
        if place not in known:
            tiny, mine = NETWORKS[place], folder / str(place)
            name, tensors = prepare(tiny, mine)
            weights = "auto" if name else str(mine / "earlier.safetensors")
            if not name:
                network, card = tiny.build(tiny.write_coco(mine / "earlier", 2))
                for tensor in network.parameters():
                    tensor.data += 0.01
                tensors = network.state_dict()
                save_model(mine / "earlier.safetensors", network, card)
            (mine / "weights").write_text(weights)
            known[place] = SimpleNamespace(folder=mine, published=name, tensors=tensors, weights=weights)
        return known[place]

    return prepare_once


@pytest.fixture(scope="module", params=range(len(NETWORKS)), ids=list(map(str, NETWORKS)))
def row(request, prepared):
    """A network and its undisturbed training in one process."""
    tiny = NETWORKS[request.param]
    tiny.require_package()
    given = prepared(request.param)
    files = train(tiny, given.folder, "whole", weights=given.weights)
    return SimpleNamespace(tiny=tiny, place=request.param, files=files, whole=given.folder / "whole", **vars(given))


@pytest.fixture(scope="module")
def in_two(folder, prepared):
    """Trains all networks in the same two processes, because these take longer to start than to train."""
    places = [place for place, tiny in enumerate(NETWORKS) if not needs_missing_package(tiny)]
    for place in places:
        prepared(place)
    left = places
    while left:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "tests.engine.every_network", str(folder), *map(str, left)]
        group = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        common = os.environ | group | {"PYTHONPATH": os.pathsep.join([str(ROOT / "shared"), str(ROOT)])}
        both = [
            subprocess.Popen(command, env=common | {"RANK": rank, "LOCAL_RANK": rank}, cwd=ROOT) for rank in ("0", "1")
        ]
        for process in both:
            process.wait(timeout=900)
        first, *rest = [place for place in left if not (folder / str(place) / "done-1").exists()] or [None]
        left = rest if first is not None else []
    return folder


def needs_missing_package(tiny):
    try:
        tiny.require_package()
    except pytest.skip.Exception:
        return True
    return False


def names_of(folder):
    return [(one["moment"], one["iteration"]) for one in moments(folder)]


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def body_of(tiny, tensors):
    prefix = "network.backbone.0.encoder." if isinstance(tiny.model, RfDetr) else "backbone.body."
    return {name: tensor for name, tensor in tensors.items() if name.startswith(prefix) and tensor.numel() > 1}


def test_weights_are_published_ones_or_those_of_another_model(row):
    """``auto`` takes what is published for the network, and is refused if nothing is."""
    if not row.published:
        with pytest.raises(ConfigurationError):
            check_weights(row.tiny.model.model_copy(update={"weights": "auto"}))
    initial = load_file(row.whole / "initial-0.safetensors")
    offered = list(row.tensors.values())
    body = body_of(row.tiny, initial)
    assert len(body) > 5
    strangers = [
        name for name, one in body.items() if not any(one.shape == t.shape and torch.equal(one, t) for t in offered)
    ]
    assert strangers == []
    assert read_card(row.files / "last.safetensors").weights == (row.published or row.weights)
    assert (row.files / "weights.txt").is_file()


def test_hooks_are_called_at_their_moments(row):
    expected = [("before_training", 0)]
    for iteration in range(1, ITERATIONS + 1):
        steps = ("before_step", "before_optimizer_step", "after_optimizer_step", "after_step")
        expected += [(moment, iteration) for moment in steps]
        expected += [("after_epoch", iteration)] * (iteration == 3)  # five images, two each time
        expected += [("after_validation", iteration)] * (iteration % 2 == 0)
    assert names_of(row.whole) == [*expected, ("after_training", ITERATIONS)]


def test_averaged_weights_are_those_of_a_loop(row):
    average, live = (load_file(row.files / f"{name}.safetensors") for name in ("last", "last_live"))
    expected = load_file(row.whole / "average-0.safetensors")
    assert equal(live, load_file(row.whole / "weights-0.safetensors"))
    assert any(not torch.equal(average[name], live[name]) for name in live)
    for name, tensor in average.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-6)


def test_an_interrupted_training_goes_on_to_the_same_bytes(row):
    parts = row.folder / "parts"
    parts.mkdir()
    (parts / "interrupt").touch()
    with pytest.raises(StepError):
        train(row.tiny, row.folder, "parts", weights=row.weights)
    assert moments(parts)[-1]["moment"] == "on_exception"
    before = len(moments(parts))
    files = train(row.tiny, row.folder, "parts", weights=row.weights)
    assert names_of(parts)[before : before + 2] == [("before_training", 2), ("before_step", INTERRUPTED_AT - 1)]
    assert moments(parts)[-1]["steps"] == ITERATIONS
    for name in ("best", "last", "last_live"):
        assert (files / f"{name}.safetensors").read_bytes() == (row.files / f"{name}.safetensors").read_bytes(), name
    tensors, expected = (load_file(where / "average-0.safetensors") for where in (parts, row.whole))
    assert equal(tensors, expected)
    assert history(parts) == history(row.whole)


def history(place):
    records = Checkpoints(place / "checkpoints").read_state().history
    return [
        {name: value for name, value in record.items() if name.startswith(("iteration", "loss", "gradient", "val/"))}
        for record in records
    ]


def test_two_processes_see_the_images_of_one_and_compute_its_losses(row, in_two):
    two = in_two / str(row.place) / "two"
    failed = [path.read_text() for path in two.parent.glob("failed-*")]
    assert failed == []
    both = [moments(two, rank) for rank in (0, 1)]
    whole = moments(row.whole)
    assert [one["moment"] for one in both[0]] == [one["moment"] for one in both[1]] == [one["moment"] for one in whole]
    for one, mine, other in zip(whole, *both, strict=True):
        if "images" in one:
            assert one["images"] == mine["images"] + other["images"]
        if "losses" in one:
            assert mine["losses"] == other["losses"]
            assert mine["losses"] == pytest.approx(one["losses"], rel=TOLERANCE, abs=TOLERANCE)
    for name in ("weights", "average"):
        assert equal(*(load_file(two / f"{name}-{rank}.safetensors") for rank in (0, 1)))
    assert {path.name for path in (two / "files").iterdir()} == {path.name for path in row.files.iterdir()}
    assert equal(load_file(two / "files" / "last_live.safetensors"), load_file(two / "weights-0.safetensors"))


@pytest.fixture
def pictures(row):
    """Images of the data, and squares, which are not padded if the exported model has a fixed canvas."""
    whole = [Image.open(row.folder / "data" / f"{index}.png").convert("RGB") for index in (0, 1, 50)]
    return whole, [one.crop((10, 0, 10 + one.height, one.height)) for one in whole]


def test_a_loaded_file_predicts_what_was_predicted_before_it_was_saved(row):
    truth = json.loads((row.folder / "data" / "training" / "shapes" / "val.json").read_text())
    listed = [{**one, "file_name": Path(one["file_name"]).name} for one in truth["images"]]
    for name in ("best", "last"):
        predictor = load_predictor(row.files / f"{name}.safetensors", "cpu").for_split(truth)
        found = [predictor.predict(row.folder / "data" / one["file_name"], one["id"]) for one in listed]
        reference = (row.files / f"{name}.predictions.json").read_text()
        size = predictor.card.preprocessing.image_size
        agreed = compare_predictions(reference, found, listed, row.tiny.task, size)
        assert agreed.images == len(listed) == 2
        assert agreed.holds, agreed.line()
        assert agreed.advice == ""  # something was compared


def test_the_onnx_file_predicts_what_the_network_predicts(row, pictures, tmp_path):
    model, out = row.files / "last.safetensors", tmp_path / "m.onnx"
    exported = export_model(model, out, "onnx", [row.folder / "data" / "0.png"])
    require_parity(row, exported)
    loaded = ExportedModel.load(out)
    predictor = load_predictor(model, "cpu").for_export()
    for images in pictures:
        found = loaded.predict_batch(images, [1, 2, 3])
        require_agreement(row, [loaded.predict(one) for one in images], found)
        if exported.header.canvas is None or images[0].width == images[0].height:
            require_agreement(row, predictor.predict_batch(images, [1, 2, 3]), found)


def test_the_exported_program_predicts_what_the_network_predicts(row, tmp_path):
    out = tmp_path / "m.pt2"
    exported = export_model(row.files / "last.safetensors", out, "torch_export", [row.folder / "data" / "0.png"])
    require_parity(row, exported)
    height, width = exported.header.canvas or (32, 96)
    program = torch.export.load(out).module()
    outputs = program(torch.zeros(3, 3, height, width, dtype=torch.uint8), torch.tensor([[height, width]] * 3))
    assert {len(one) for one in outputs} == {3}


def require_parity(row, exported):
    assert exported.parity.holds
    assert exported.parity.advice == ""  # something was compared
    assert exported.header.classes == read_card(row.files / "last.safetensors").classes
    if row.tiny.task == "keypoints":
        assert exported.parity.keypoints == 3 * exported.parity.detections


def require_agreement(row, expected, found):
    agreed = agreement(row.tiny.task, zip(expected, found, [1.0] * len(expected), strict=True))
    assert agreed.holds, agreed.line()


def as_jpeg(image):
    """The image without what JPEG loses, so that only drawings differ."""
    file = io.BytesIO()
    image.save(file, "JPEG")
    return Image.open(file)


def test_the_first_batch_and_the_predictions_are_drawn(row):
    drawn = Image.open(row.files / "first_batch.jpg")
    seen = [as_jpeg(Image.open(path)) for path in sorted(row.whole.glob("batch-0-*.png"))]
    assert len(seen) == 2
    width = drawn.width // 2
    for number, one in enumerate(seen):
        part = drawn.crop((number * width, 0, (number + 1) * width, drawn.height))
        assert 0.005 < differing_pixels(part.resize(one.size), one) < 0.7
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(row.files / "tensorboard"))
    events.Reload()
    tags = events.Tags()["images"]
    assert sum(tag.startswith("train/first batch/") for tag in tags) == 2
    pairs = [tag for tag in tags if tag.startswith("val/truth and prediction/")]
    assert len(pairs) == 2
    for tag in pairs:
        shown = [Image.open(io.BytesIO(one.encoded_image_string)) for one in events.Images(tag)]
        assert len(shown) == 2  # one for each validation
        assert all(one.width > one.height for one in shown)
    plugins = {one.plugin_data.plugin_name for one in events.summary_metadata.values()}
    assert ("pr_curves" in plugins) == (row.tiny.task != "classification")  # a ROC curve is none of them
