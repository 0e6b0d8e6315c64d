"""A small finished run as the steps leave it: results, summaries, history, drawn images."""

import itertools
import json
import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pycocotools import mask as coco_mask

from sightline.data.detections import Detections
from sightline.report.drawing.draw import draw_detections, draw_truth
from sightline.report.pages.data_report import DataReport, Example, PreviousVersion, quantiles, write_data_report
from sightline.report.pages.run_page import RunPage, TaskView

CLASSES = [*"0123456789", *"abcde", "r_board", "r_m_n", "r_s_n", "l_board", "l_m_n", "l_s_n"]
NAMES = dict(enumerate(CLASSES, 1))
TAG = "plates_train_v2"


def box_annotation(name, box, number=1):
    left, top, right, bottom = box
    return {
        "id": number,
        "image_id": 1,
        "category_id": CLASSES.index(name) + 1,
        "bbox": [left, top, right - left, bottom - top],
        "area": (right - left) * (bottom - top),
        "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
        "iscrowd": 0,
    }


def plate(seed):
    """A one-line plate of 384 x 288 pixels: the image, its annotations and its text."""
    pick = random.Random(seed)
    shade = np.linspace(50, 165, 288)[:, None, None] + np.random.default_rng(seed).normal(0, 7, (288, 384, 1))
    image = Image.fromarray((shade + np.array([0, 6, 14])).clip(0, 255).astype("uint8"))
    pen = ImageDraw.Draw(image)
    x, y = 50 + pick.randint(-20, 20), 105 + pick.randint(-60, 60)
    pen.rounded_rectangle((x, y, x + 270, y + 64), 8, (238, 238, 232), (30, 30, 30), 2)
    text = [str(pick.randint(0, 9)) for _ in range(2)] + [pick.choice("abcde")]
    text += [str(pick.randint(0, 9)) for _ in range(4)]
    font = ImageFont.load_default(46)
    characters = []
    for index, character in enumerate(text):
        place = (x + 14 + 34 * index + (12 if index > 2 else 0), y + 6)
        pen.text(place, character, (20, 20, 20), font)
        characters.append((character, pen.textbbox(place, character, font)))
    boxes = [("l_board", (x, y, x + 270, y + 64)), ("l_s_n", (x + 8, y + 5, x + 118, y + 59))]
    boxes += [("l_m_n", (x + 122, y + 5, x + 264, y + 59)), *characters]
    annotations = [box_annotation(name, box, number) for number, (name, box) in enumerate(boxes, 1)]
    return image, annotations, ["".join(text[:3]), "".join(text[3:])]


def detected(annotations, size, seed=0):
    """Detections a little beside the annotations."""
    noise = np.random.default_rng(seed)
    boxes = np.array([annotation["bbox"] for annotation in annotations], dtype=np.float32)
    boxes[:, 2:] += boxes[:, :2]
    boxes += noise.normal(0, 0.8, boxes.shape).astype(np.float32)
    masks = [coco_mask.merge(coco_mask.frPyObjects(one["segmentation"], size[1], size[0])) for one in annotations]
    scores = np.sort(noise.uniform(0.7, 1, len(boxes)).astype(np.float32))[::-1]
    return Detections(1, boxes, scores, np.array([one["category_id"] for one in annotations]), masks)


def measured(sha256, strength, seed, split):
    """One model's entry of summary.json."""
    noise = np.random.default_rng(seed)
    per_class, box, mask = {}, {}, {}
    for name in CLASSES:
        level = float(np.clip(strength + noise.normal(0, 0.04), 0, 1))
        per_class[name] = {
            "instances": int(noise.integers(12, 90)),
            "box_AP": level * 0.82,
            "box_AP50": level,
            "mask_AP": level * 0.74,
            "mask_AP50": level * 0.97,
            "dv_AP": level * 0.9,
        }
        box[name] = [1.0 if step < 100 * level * 0.9 else max(0.0, 1 - (step - 90 * level) / 14) for step in range(101)]
        mask[name] = [value * 0.97 for value in box[name]]
    matrix = noise.poisson(0.05, (len(CLASSES) + 1, len(CLASSES) + 1))
    np.fill_diagonal(matrix[: len(CLASSES)], noise.integers(15, 80, len(CLASSES)))
    names = ("box_AP", "box_AP50", "box_AP75", "mask_AP", "mask_AP50", "mask_AP75", "dv_mAP", "EIR")
    shares = (0.82, 1.0, 0.9, 0.74, 0.97, 0.85, 0.9, 0.93)
    return {
        "sha256": sha256,
        "uri": f"evaluation/{TAG}/{sha256[:16]}/model.safetensors",
        "training_tag": TAG if split == "test" or strength > 0.9 else "plates_train_v1",
        "metrics": {name: round(strength * share, 6) for name, share in zip(names, shares, strict=True)},
        "per_class": per_class,
        "curves": {"box": box, "mask": mask},
        "confusion": {"labels": [*CLASSES, "nothing"], "matrix": matrix.tolist()},
        "confidence": {"box": confidence(strength), "mask": confidence(strength * 0.97)},
        "readings": {"true": 60, "read": 54, "false": 3, "examples": []},
    }


def confidence(strength):
    """Precision rises with the score threshold and recall falls; above 0.95 nothing is found."""
    precision = [min(1.0, strength * (0.6 + index / 150)) if index <= 95 else None for index in range(101)]
    recall = [strength * (1 - (index / 110) ** 2) if index <= 95 else 0.0 for index in range(101)]
    f1 = [2 * p * r / (p + r) if p and r else 0.0 for p, r in zip(precision, recall, strict=True)]
    return {"precision": precision, "recall": recall, "f1": f1, "best_threshold": f1.index(max(f1)) / 100}


def write_summary(folder, split, models, images=8, winner="best"):
    """summary.json and the drawn images of one step."""
    drawn, examples = [], []
    for number in range(images):
        image, annotations, texts = plate(number)
        name = f"annotations/plates/{split}_{number:04d}.png"
        paths = {"truth": f"drawn/truth/{number}.jpg", "prediction": f"drawn/{winner}/{number}.jpg"}
        pictures = {
            "truth": draw_truth(image, annotations, NAMES),
            "prediction": draw_detections(image, detected(annotations, image.size, number), NAMES),
        }
        for kind, path in paths.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            pictures[kind].save(folder / path, quality=90)
        right = number % 3 != 1
        mistakes = {"confused": 0 if right else 1, "missed": number, "false": 0, "truths": 10}
        drawn.append({"image": name, "model": winner, **paths, "mistakes": mistakes})
        read = texts if right else [texts[0], texts[1][:2] + "8" + texts[1][3:]]
        place = {"centre": [190.0, 120.0], "size": [270.0, 64.0]}
        truth = [{"kind": "l_board", "texts": texts, **place}]
        found = [{"kind": "l_board", "texts": read, **place}] if number != 4 else []
        examples.append({"image": name, "truth": truth, "read": found, "right": right and number != 4})
    models[winner]["readings"]["examples"] = examples
    winners = {"mask_AP": "best", "EIR": "last"} if split == "val" else {}
    selections = [
        {
            "metric": metric,
            "name": name,
            "value": models[name]["metrics"][metric],
            "previous_value": models["champion"]["metrics"][metric],
            "previous_sha256": models["champion"]["sha256"],
            "promoted": True,
            "reason": f"{name} has the highest {metric} and beats the champion by more than 0.001.",
            "uri": models[name]["uri"],
            "sha256": models[name]["sha256"],
        }
        for metric, name in winners.items()
    ]
    document = {
        "training_tag": TAG,
        "split": split,
        "score_threshold": 0.4,
        "images": 60,
        "classes": CLASSES,
        "models": models,
        "selections": selections,
        "drawn": drawn,
    }
    if split == "test":
        document["unlabelled"] = [{"image": "street.png", "model": winner, "prediction": drawn[0]["prediction"]}]
    (folder / "summary.json").write_text(json.dumps(document))


def write_history(folder):
    """history.json of 400 iterations."""
    noise = np.random.default_rng(0)
    history = []
    for iteration in range(20, 401, 20):
        decay = float(np.exp(-iteration / 130))
        entry = {"iteration": iteration, "learning_rate": 1e-3 * min(1, iteration / 30) * (1 - iteration / 420)}
        for part, size in (("classifier", 1.9), ("box_reg", 0.9), ("mask", 0.7), ("objectness", 0.5)):
            entry[f"loss_{part}"] = size * decay + 0.05 + float(noise.normal(0, 0.015))
        entry["loss"] = sum(value for name, value in entry.items() if name.startswith("loss_"))
        entry["images_per_second"] = 6.2 + float(noise.normal(0, 0.2))
        if iteration % 100 == 0:
            entry |= {"val/mask_AP": 0.72 - 0.7 * decay, "val/box_AP": 0.8 - 0.7 * decay, "val/EIR": 0.9 - 0.95 * decay}
        history.append(entry)
    (folder / "history.json").write_text(json.dumps(history))


def sample_data_report():
    pick = np.random.default_rng(3)
    counts = {name: int(pick.integers(60, 420)) for name in CLASSES}
    image, annotations, _ = plate(5)
    return DataReport(
        dataset="plates",
        version="v2",
        annotation_tag="plates_ann_v2",
        training_tag=TAG,
        commit="9f2c61d0aa3b4c5d6e7f8091a2b3c4d5e6f70819",
        classes=CLASSES,
        images={"train": 1234, "val": 60, "test": 61},
        instances={
            "train": counts,
            "val": {name: count // 6 for name, count in counts.items()},
            "test": {name: count // 7 for name, count in counts.items() if name != "e"},
        },
        image_sizes={(384, 288): 1300, (640, 480): 55},
        areas={name: quantiles(pick.lognormal(7 if len(name) > 1 else 5.5, 0.5, 80)) for name in CLASSES},
        dropped={"outside_image": 7, "duplicate_shape": 2},
        ignored=3,
        warnings=["class 'e' has no instance in the test split: its metrics there cannot be computed"],
        faults=[f"img_{number:04d}.json: shape {number} ('7'): lies outside; clip it" for number in range(203)],
        groups=1310,
        near_duplicates=[[f"annotations/plates/frame_{number}.jpg" for number in range(8)], *[["a.jpg", "b.jpg"]] * 20],
        previous=PreviousVersion("plates_train_v1", 900, 455, 4),
        examples=[Example("annotations/plates/img_0005.png", draw_truth(image, annotations, NAMES), "train")],
    )


@dataclass
class Finished:
    """The folders of a run's steps, and the page that shows them."""

    folders: dict[str, Path]
    page: RunPage


def results_of(report, best):
    """The results of the steps, as JSON values."""
    environment = {"device": "AMD EPYC 7763", "accelerators": 0, "threads": 2, "host": "node-3", "system": "Linux 6.1",
                   "python": "3.11.7", "torch": "2.9.1+cpu", "sightline": "0.1.0", "memory_gb": 1.234,
                   "gpu_memory_gb": None}  # fmt: skip
    return {
        "record": {
            "dataset": "plates",
            "version": "v2",
            "annotation_tag": report.annotation_tag,
            "training_tag": TAG,
            "images": report.images,
            "instances": report.instances,
            "dropped": report.dropped,
            "warnings": report.warnings,
        },
        "train": {
            "iterations": 400,
            "seconds": 262.4,
            "candidates": [{"name": "best", "iteration": 400}, {"name": "last", "iteration": 400}],
            "environment": environment,
        },
        "evaluate": {"selections": []},
        "test": {
            "models": [{"metric": "mask_AP", "sha256": best, "images_per_second": 7.25}],
            "files": "gs://results/test",
            "environment": environment | {"memory_gb": 0.5},
        },
    }


def build_run(root):
    folders = {name: root / name for name in ("record", "train", "evaluate", "test")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    report = sample_data_report()
    write_data_report(folders["record"] / "report.html", report)
    write_history(folders["train"])
    best, last, champion = "b" * 64, "1" * 64, "c" * 64
    scored = {"best": (best, 0.93, 1), "last": (last, 0.91, 2), "champion": (champion, 0.83, 3)}
    models = {name: measured(*value, "val") for name, value in scored.items()}
    models["last"]["metrics"]["EIR"] = 0.8823
    write_summary(folders["evaluate"], "val", models, 3)
    tested = {"best": measured(best, 0.915, 7, "test"), "last": measured(last, 0.905, 8, "test")}
    tested["last"]["metrics"]["EIR"] = 0.8711
    write_summary(folders["test"], "test", tested)
    names = ("resolve", "record", "train", "evaluate", "promote", "test", "finish")
    states = ("succeeded", "reused", "succeeded", "succeeded", "succeeded", "succeeded", "succeeded")
    seconds = (0.2, 1.4, 262.4, 41.0, 0.7, 23.9, None)
    tasks = [
        TaskView(name, name.capitalize(), state, took, {"config": "{...}", "code_rev": "d61ae8e"}, {"Output": TAG})
        for name, state, took in zip(names, states, seconds, strict=True)
    ]
    page = RunPage(
        run_id="plates-20261121-0753-k3f9",
        recipe="plates",
        overrides=["train.iterations=400", "data.tag=plates_ann_v2"],
        dataset_tag="plates_ann_v2",
        code_rev="d61ae8e0c1f2",
        configuration="recipe: plates\ntrain:\n  iterations: 400\n",
        state="succeeded",
        started=datetime(2026, 11, 21, 7, 53, tzinfo=UTC),
        seconds=329.0,
        command="sightline run plates --tag plates_ann_v2 --set train.iterations=400",
        tasks=tasks,
        edges=[*itertools.pairwise(names), ("resolve", "train"), ("record", "test")],
        index_link="../index.html",
        tensorboard_command="tensorboard --logdir '/work/my runs/tensorboard'",
        results=results_of(report, best),
        files=folders,
    )
    return Finished(folders, page)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Read-only: a run that went well."""
    return build_run(tmp_path_factory.mktemp("run"))


class Page(HTMLParser):
    """A page that was parsed strictly: tags are balanced, ids are unique, links within the page lead somewhere."""

    VOID = frozenset({"meta", "link", "img", "br", "input", "hr"})

    def __init__(self, source):
        super().__init__()
        self.source = source
        self.open_tags, self.ids, self.links, self.loads, self.scripts = [], [], [], [], []
        self.text, self.pieces, self.heads = "", [], []
        self.feed(source)
        self.close()
        assert self.open_tags == []
        assert all(self.heads), "a column or a row without a name"
        assert len(self.ids) == len(set(self.ids))
        inside = [link.removeprefix("#") for link in self.links if link.startswith("#")]
        inside += re.findall(r"url\(#([^)]*)\)", source)
        assert set(inside) <= set(self.ids)

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open_tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            elif name == "href":
                self.links.append(value)
            elif name in ("src", "srcset", "poster", "data", "action"):
                self.loads.append(value)
            elif name.startswith("on"):
                self.scripts.append(f"{name}={value}")
        if tag == "img":
            assert dict(attrs).get("alt"), "an image without words for it"
        if tag == "th":
            self.heads.append("")
        if tag == "script":
            self.scripts.append("script")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open_tags, f"</{tag}> without a beginning"
        # The parser gives every <path/> as one; <p>, <li> and the like are closed by hand in our templates.
        assert self.open_tags.pop() == tag

    def handle_data(self, data):
        if "th" in self.open_tags:
            self.heads[-1] += data.strip()
        if not self.open_tags or self.open_tags[-1] not in ("style", "script"):
            self.text += data
            self.pieces.append(data)

    def has(self, *facts):
        words = re.sub(r"[ \n]+", " ", " ".join(self.pieces))
        missing = [fact for fact in facts if fact not in words]
        assert missing == []


def is_self_contained(page):
    """Nothing is loaded from elsewhere, and no script but the page's own one."""
    assert all(load.startswith("data:image/jpeg;base64,") for load in page.loads)
    without_images = re.sub(r"data:image/jpeg;base64,[A-Za-z0-9+/=]*", "", page.source)
    assert not re.search(r"https?://|@import|url[(]['\"]?//", without_images)
    assert not any(link.startswith("//") for link in page.links)
    assert page.scripts == ["script"]


@pytest.fixture(scope="session")
def open_page():
    """Parse a page and check what every page promises."""

    def parse(path):
        page = Page(path.read_text(encoding="utf-8"))
        is_self_contained(page)
        return page

    return parse


@pytest.fixture(scope="session")
def data_report():
    """A data report with something in every field."""
    return sample_data_report()


@pytest.fixture
def summary_folder(tmp_path):
    """A folder of evaluate whose files a test may change."""
    models = {"best": measured("b" * 64, 0.93, 1, "val"), "last": measured("1" * 64, 0.9, 2, "val")}
    models["champion"] = measured("c" * 64, 0.8, 3, "val")
    folder = tmp_path / "evaluate"
    folder.mkdir()
    write_summary(folder, "val", models, 5)
    return folder
