"""The whole label loop with models trained here: planted errors, suggestions, decisions in labelme, version 2."""

import json
import re

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from sightline.cli import cli
from sightline.data.formats.labelme.folder import read_folder
from sightline.data.loading.dataset import CocoDataset
from sightline.data.repository.checkout import checkout
from sightline.data.workspace import Workspace
from sightline.models.model_file import save_model
from sightline.models.stages import train_mode
from sightline.tasks.base import load_task
from sightline.tasks.batch_inference import predict_images
from sightline.tasks.evaluators import open_evaluator
from tests import classified, squares
from tests.every_network import NETWORKS
from tests.labelme_reader import open_file, save_file

WRONG = 30


def run(*arguments):
    result = CliRunner().invoke(cli, [str(part) for part in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def learn(task, network, dataset, iterations, learning_rate, batch_size):
    """Train on random batches."""
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=1e-2)
    order = np.random.default_rng(1)
    for iteration in range(iterations):
        train_mode(network, stages=0, norms=True)
        chosen = order.choice(len(dataset), batch_size, replace=False)
        batch = [dataset.sample(int(index), iteration) for index in chosen]
        loss = sum(task.losses(network, batch, torch.device("cpu")).values())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    return network.eval()


def document_of(folder, data):
    """A folder of labelme files as a COCO document with paths relative to the folder."""
    from sightline.data.recording.merge import merge

    images = read_folder(folder, data).images
    document = merge(images, ["train"] * len(images), data, "shapes")["train"]
    for listed, image in zip(document["images"], images, strict=True):
        listed["file_name"] = image.image
    return document


def labels(folder):
    """File -> its labels: true flags, or the labels of its shapes."""
    found = {}
    for path in sorted(folder.rglob("*.json")):
        document = json.loads(path.read_text())
        flags = sorted(name for name, value in document["flags"].items() if value)
        found[path.name] = flags or sorted(shape["label"] for shape in document["shapes"])
    return found


def version(tmp_path, tag):
    workspace = Workspace(str(tmp_path / "data"), tmp_path / "work")
    return checkout(workspace, tag).path / "annotations/shapes"


def train_classifier(folder, path, iterations):
    from sightline.config.data import Data

    data = Data(repository="-", classes=tuple(classified.COLOURS), label_sets={"class": tuple(classified.COLOURS)})
    document = document_of(folder, data)
    task, model = load_task("classification"), classified.fitted(load_task("classification"), "cnn", document)
    torch.manual_seed(0)
    network = task.build_network(model, len(classified.COLOURS))
    options = {"image_size": 64, "max_pixels": 10**6, "augmentation": (), "seed": 0, "loading": classified.TINY_TRAIN}
    learn(task, network, CocoDataset(document, folder, **options), iterations, 3e-3, 24)
    card = classified.make_card(model)
    save_model(path, network, card)
    return task.predictor(network, card, torch.device("cpu"))


def precision(predictor, folder, count=80):
    """box_AP on images with right labels."""
    document = squares.write_coco(folder, count, first=1000, drawn=squares.draw_alike)
    found = predict_images(predictor, document["images"], folder, max_pixels=10**6, description="test")
    measured = open_evaluator("object_detection", "none", dict(enumerate(squares.CLASSES, 1))).measure(
        document, found, 0.5
    )
    return measured.metrics["box_AP"]


def accuracy(predictor, folder, count=60):
    document = classified.write_coco(folder, count, first=1000)
    found = predict_images(predictor, document["images"], folder, max_pixels=10**6, description="test")
    return load_task("classification").evaluate(document, found)["accuracy"]


def plant_wrong_flags(folder):
    """Give 30 images the label of another class; returns file -> its true class."""
    random = np.random.default_rng(0)
    paths = sorted(folder.glob("*.json"))
    truth = {}
    for index in random.choice(len(paths), WRONG, replace=False).tolist():
        document = json.loads(paths[index].read_text())
        (true,) = [name for name, value in document["flags"].items() if value]
        wrong = [name for name in document["flags"] if name != true][int(random.integers(2))]
        document["flags"] = {name: name == wrong for name in document["flags"]}
        paths[index].write_text(json.dumps(document))
        truth[paths[index].name] = true
    return truth


def test_the_label_loop_of_a_classifier(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGHTLINE_SETTINGS", str(tmp_path / "settings.yaml"))
    (tmp_path / "settings.yaml").write_text(f"work: {{dir: {tmp_path / 'work'}}}\n")
    classified.write_labelme(tmp_path / "photos", 120)
    planted = plant_wrong_flags(tmp_path / "photos")
    run("data", "init", tmp_path / "data", "--remote", tmp_path / "remote")
    run("data", "add", tmp_path / "photos", "--dataset", "shapes", "--version", "v1")
    train_classifier(tmp_path / "photos", tmp_path / "model.safetensors", 20)

    said = run("data", "suggest", tmp_path / "model.safetensors", "shapes_ann_v1", "-o", tmp_path / "out")
    files = sorted((tmp_path / "out").glob("*.json"))
    right = [path for path in files if path.name in planted]
    assert len(right) >= 0.6 * WRONG
    assert len(right) >= 0.9 * len(files)
    assert f"{len(files)} wrong class" in said

    accepted = files[: len(files) // 2]
    for path in files:
        document, shapes, flags = open_file(path)
        if path in accepted:
            (suggested,) = [name for name in flags if name.endswith("?")]
            assert suggested == f"{planted[path.name]}?"
            flags[suggested] = True
        else:
            flags["reject suggestions"] = True
        save_file(path, document, shapes, flags)
    said = run("data", "add", tmp_path / "out", "--dataset", "shapes", "--version", "v2")
    rejected = len(files) - len(accepted)
    counts = f"{len(accepted)} accepted ({len(accepted)} wrong class), {rejected} rejected ({rejected} wrong class)"
    assert counts in said
    assert f"accepted: {accepted[0].name}: {planted[accepted[0].name]} (wrong class, was " in said

    before, after = (labels(version(tmp_path, f"shapes_ann_{name}")) for name in ("v1", "v2"))
    assert len(after) == 120
    changed = {name: after[name] for name in after if after[name] != before[name]}
    assert changed == {path.name: [planted[path.name]] for path in accepted}
    assert "sightline" not in "".join(path.read_text() for path in version(tmp_path, "shapes_ann_v2").glob("*.json"))
    assert counts in run("data", "show", "shapes_ann_v2")

    first = train_classifier(version(tmp_path, "shapes_ann_v1"), tmp_path / "v1.safetensors", 60)
    second = train_classifier(version(tmp_path, "shapes_ann_v2"), tmp_path / "v2.safetensors", 60)
    assert accuracy(second, tmp_path / "test") > accuracy(first, tmp_path / "test")


def train_detector(folder, path, iterations=110):
    from sightline.config.data import Data

    document = document_of(folder, Data(repository="-", classes=squares.CLASSES))
    (tiny,) = [one for one in NETWORKS if str(one) == "object_detection/fcos"]
    network, card = tiny.build(document)
    options = {"image_size": 64, "max_pixels": 10**6, "augmentation": (), "seed": 0, "loading": squares.TINY_TRAIN}
    learn(load_task(tiny.task), network, CocoDataset(document, folder, **options), iterations, 4e-3, 8)
    save_model(path, network, card)
    return load_task(tiny.task).predictor(network, card, torch.device("cpu"))


def plant_wrong_shapes(folder):
    """Give 30 shapes the other class; returns (file, index of the shape) -> its true class."""
    random = np.random.default_rng(0)
    places = [(path, index) for path in sorted(folder.glob("*.json")) for index in range(2)]
    truth = {}
    for number in random.choice(len(places), WRONG, replace=False).tolist():
        path, index = places[number]
        document = json.loads(path.read_text())
        shape = document["shapes"][index]
        truth[path.name, index] = shape["label"]
        shape["label"] = squares.CLASSES[1 - squares.CLASSES.index(shape["label"])]
        path.write_text(json.dumps(document))
    return truth


@pytest.mark.slow
def test_the_label_loop_of_a_detector(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGHTLINE_SETTINGS", str(tmp_path / "settings.yaml"))
    (tmp_path / "settings.yaml").write_text(f"work: {{dir: {tmp_path / 'work'}}}\n")
    squares.write_labelme(tmp_path / "photos", 80)
    planted = plant_wrong_shapes(tmp_path / "photos")
    run("data", "init", tmp_path / "data", "--remote", tmp_path / "remote")
    run("data", "add", tmp_path / "photos", "--dataset", "shapes", "--version", "v1")
    train_detector(tmp_path / "photos", tmp_path / "model.safetensors")
    run("data", "suggest", tmp_path / "model.safetensors", "shapes_ann_v1", "-o", tmp_path / "out")

    suggested, accepted = set(), {}
    for path in sorted((tmp_path / "out").glob("*.json")):
        document, shapes, flags = open_file(path)
        for shape in list(shapes):
            if shape["description"].startswith("suggestion: wrong class"):
                (index,) = shape["sightline"]["replaces"]
                suggested.add((path.name, index))
                if len(suggested) % 2 and (path.name, index) in planted:
                    shape["label"] = shape["label"].removesuffix("?")
                    accepted[path.name, index] = shape["label"]
                else:
                    shapes.remove(shape)
        flags["reject suggestions"] = True
        save_file(path, document, shapes, flags)
    right = suggested & planted.keys()
    assert len(right) >= 0.6 * WRONG
    assert len(right) >= 0.9 * len(suggested)
    assert accepted == {place: planted[place] for place in accepted}

    said = run("data", "add", tmp_path / "out", "--dataset", "shapes", "--version", "v2")
    assert re.search(rf"{len(accepted)} accepted \({len(accepted)} wrong class\)", said)
    before, after = (labels(version(tmp_path, f"shapes_ann_{name}")) for name in ("v1", "v2"))
    expected = json.loads(json.dumps(before))
    for (name, index), true in accepted.items():
        document = json.loads((tmp_path / "photos" / name).read_text())
        drawn = [shape["label"] for shape in document["shapes"]]
        drawn[index] = true
        expected[name] = sorted(accepted.get((name, place), label) for place, label in enumerate(drawn))
    assert after == expected


def accept_right_ones(folder, planted, most):
    """Decide on the suggestions in labelme: accept some that are right, reject all others."""
    suggested, accepted = set(), {}
    for path in sorted(folder.glob("*.json")):
        document, shapes, flags = open_file(path)
        for shape in list(shapes):
            if shape["description"].startswith("suggestion: wrong class"):
                (index,) = shape["sightline"]["replaces"]
                suggested.add((path.name, index))
                if (path.name, index) in planted and len(accepted) < most:
                    shape["label"] = accepted[path.name, index] = shape["label"].removesuffix("?")
        flags["reject suggestions"] = True
        save_file(path, document, shapes, flags)
    return suggested, accepted


@pytest.mark.slow
def test_a_detector_is_better_after_half_of_its_wrong_labels_were_corrected(tmp_path, monkeypatch):
    """The same recipe before and after, on shapes that are hard to tell apart, measured on images with right labels."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGHTLINE_SETTINGS", str(tmp_path / "settings.yaml"))
    (tmp_path / "settings.yaml").write_text(f"work: {{dir: {tmp_path / 'work'}}}\n")
    squares.write_labelme(tmp_path / "photos", 80, squares.draw_alike)
    planted = plant_wrong_shapes(tmp_path / "photos")
    run("data", "init", tmp_path / "data", "--remote", tmp_path / "remote")
    run("data", "add", tmp_path / "photos", "--dataset", "shapes", "--version", "v1")
    first = train_detector(version(tmp_path, "shapes_ann_v1"), tmp_path / "v1.safetensors", 260)
    run("data", "suggest", tmp_path / "v1.safetensors", "shapes_ann_v1", "-o", tmp_path / "out")

    suggested, accepted = accept_right_ones(tmp_path / "out", planted, WRONG // 2)
    assert accepted == {place: planted[place] for place in accepted}
    assert len(accepted) >= WRONG // 3
    assert len(suggested & planted.keys()) > len(suggested) / 2
    said = run("data", "add", tmp_path / "out", "--dataset", "shapes", "--version", "v2")
    assert f"{len(accepted)} accepted ({len(accepted)} wrong class)" in said

    second = train_detector(version(tmp_path, "shapes_ann_v2"), tmp_path / "v2.safetensors", 260)
    before, after = (precision(model, tmp_path / "test") for model in (first, second))
    assert after > before
