"""The whole pipeline with the task ``presence`` of docs/extending.md, in a checkout that has it.

``python -m tests.presence_pipeline FOLDER`` is run by ``tests/tasks/test_new_task.py``.
"""

import json
import os
import re
import sys
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image, ImageDraw

from sightline.cli import cli
from sightline.evaluation.inference import predictions_from_json, predictions_to_json
from sightline.steps.task import Finished
from sightline.tasks.base import Predictor
from sightline.tasks.evaluators import open_evaluator
from tests.shapes_world import World

IMAGES = 40
COLOURS = {"square": (220, 30, 30), "disc": (30, 30, 220)}


def draw(folder: Path) -> None:
    """Images with a square, a disc, both or neither, and labelme files beside them."""
    folder.mkdir(parents=True)
    for index in range(IMAGES):
        rng = np.random.default_rng(index)
        image = Image.fromarray(rng.integers(90, 120, (60, 80, 3), dtype=np.uint8))
        shapes = []
        for bit, (name, colour) in enumerate(COLOURS.items()):
            if index >> bit & 1:
                x, y = bit * 40 + int(rng.integers(2, 18)), int(rng.integers(2, 40))
                points = [(x, y), (x + 16, y), (x + 16, y + 16), (x, y + 16)]
                ImageDraw.Draw(image).polygon(points, fill=colour)
                shapes.append({"label": name, "points": points, "shape_type": "polygon"})
        image.save(folder / f"{index}.png")
        document = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{index}.png", "imageData": None}
        (folder / f"{index}.json").write_text(json.dumps({**document, "imageHeight": 60, "imageWidth": 80}))


def no_matrix() -> None:
    """A task without a confusion matrix gives Kubeflow an empty one."""
    section = {"kind": "table", "id": "a", "title": "A"}
    model = {"sha256": "1", "sections": [section]}
    finished = Finished("{}", summary={"models": {"best": model}, "selections": [{"candidate_sha256": "1"}]})
    assert finished.confusion == ([], [])


class PresenceWorld(World):
    """Where the task is trained."""

    def overrides(self, *more: str) -> list[str]:
        own = [one for one in super().overrides() if not one.startswith(("model.", "train."))]
        training = ["train.device=cpu", "train.workers=0", "train.augmentation.flip=0", "train.trackers=[text]"]
        return [
            *own,
            *training,
            "evaluate.drawn_images=4",
            "evaluate.select_by=[class_accuracy, image_accuracy]",
            *more,
        ]

    def make_data(self) -> None:
        from sightline.data.repository.creation import add_annotations, init_repository
        from sightline.data.tags import DatasetTag

        init_repository(self.folder / "data", str(self.folder / "remote"))
        draw(self.folder / "shapes")
        add_annotations(self.folder / "data", self.folder / "shapes", DatasetTag.parse("shapes_ann_v1"))


def command(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def main(folder: Path) -> None:
    """Run everything, and look at what it leaves."""
    os.environ["SIGHTLINE_HOME"] = str(folder / "home")
    (folder / "home").mkdir(parents=True)
    no_matrix()
    world = PresenceWorld(folder / "world", "presence")
    world.make_data()
    run = world.run()
    assert set(world.states(run).values()) == {"succeeded"}
    world.require_intact()
    results = {path.parts[-5]: path.parent for path in world.bucket.glob("results/*/*/*/*/summary.json")}
    (result,) = world.bucket.glob("results/test/*/*/result.json")
    (tested,) = json.loads(result.read_text())["result"]["models"]
    assert tested["metrics"]["class_accuracy"] > 0.9, tested
    assert set(tested["metrics"]) == {"class_accuracy", "image_accuracy"}
    predictions = json.loads(Path(tested["predictions"].removeprefix("file://")).read_text())
    assert {"image", "labelled", "classes"} == set(predictions["images"][0])

    for step in ("evaluate", "test"):
        page = (results[step] / "report.html").read_text()
        assert "Right and wrong images" in page
        assert page.count("<img") >= 4
    pages = [world.work / "runs" / run / "report" / "index.html", world.work / "runs" / "index.html"]
    for path in pages:
        page = re.sub(r"base64,[A-Za-z0-9+/=]+", "", path.read_text())
        assert "class_accuracy" in page
        assert re.findall(r".{60}(?:box_AP|mask_AP|EIR|IoU).{60}", page) == []
    assert "Per class" in pages[0].read_text()

    for metric in ("class_accuracy", "image_accuracy"):
        assert (world.bucket / f"champions/shapes/presence/{metric}.json").is_file()
    settings = (
        f"storage: {{uri: '{world.bucket}'}}\ndatabase: {{url: 'sqlite:///{world.folder / 'sightline.sqlite'}'}}\n"
    )
    (folder / "home" / "settings.yaml").write_text(settings)
    assert "class_accuracy" in command("lineage", "shapes_train_v1")
    assert "class_accuracy" in command("runs", "show", run)
    assert "presence" in command("model", "show", tested["uri"].removeprefix("file://"))

    images = [str(world.folder / "shapes" / f"{index}.png") for index in (0, 1, 2, 3)]
    out = folder / "predictions"
    said = command("model", "predict", "champion:shapes/presence/class_accuracy", *images, "--out", str(out))
    assert [line.partition(": ")[2] for line in said.splitlines() if line.startswith(str(world.folder))] == [
        "none of the classes",
        "square",
        "disc",
        "square, disc",
    ], said
    assert list(json.loads((out / "3.json").read_text())["classes"]) == ["square", "disc"]
    assert Image.open(out / "3.png").size == (80, 84)
    model = Path(tested["uri"].removeprefix("file://"))
    assert Predictor.load(model).predict(images[1], 5).above(0.5).image_id == 5

    kept = next(world.work.glob("evaluate/*/detections-*.json")).read_text()
    prediction = open_evaluator("presence", "none", {1: "square", 2: "disc"}).prediction
    found = predictions_from_json(kept, prediction)
    assert len(found) == IMAGES // 4
    assert predictions_to_json(found) == kept

    states = world.states(world.run())
    assert {states[step] for step in ("record", "train", "evaluate", "test")} == {"reused"}, states


if __name__ == "__main__":
    main(Path(sys.argv[1]))
