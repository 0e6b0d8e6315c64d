"""Writes one of each stored document, as the code of today writes it, for the tests of all later releases.

``python -m tests.documents.make_fixtures`` runs the pipeline once in a temporary folder and adds for each document the
file ``fixtures/<document>/format-<n>`` of its present format.  What is there is never written again: it is what an
earlier release wrote.
"""

import json
import tempfile
from pathlib import Path

import torch
from torch import nn

from sightline.code.bucket import publish_to_bucket
from sightline.code.snapshot import make_snapshot
from sightline.config.decode import decode
from sightline.config.digest import config_digest
from sightline.data.repository.finishing import Finish
from sightline.engine.checkpoint import take_snapshot
from sightline.engine.checkpoints import Checkpoints
from sightline.engine.state import TrainingState
from sightline.models.model_file import save_model
from sightline.models.weights.sources import Download
from sightline.models.weights.stored import store
from sightline.storage import open_storage
from tests.engine.training import build
from tests.shapes_world import World
from tests.squares import make_card

FIXTURES = Path(__file__).parent / "fixtures"
FORMATS = {"checkpoint": 2, "history": 2, "kept_predictions": 2, "model": 2, "summary": 2}
"""The present format of each document; 1 where none is given."""

DIGESTS = {
    "plates": ["data.tag=plates_ann_v1"],
    "instance_segmentation": [
        "data.classes=[cat, dog]",
        "data.aliases={kitten: cat}",
        "evaluate.minimum=0.2",
        "model.weights=none",  # the default when the digests were stored
    ],
    "instance_segmentation_small": ["data.classes=[a]", "data.splits={train: 0.5, val: 0.25, test: 0.25}", "seed=3"],
}


def write(document: str, content: str | bytes, ending: str = "json") -> None:
    """Add a fixture, unless its format has one."""
    path = FIXTURES / document / f"format-{FORMATS.get(document, 1)}.{ending}"
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    print("new:", path.relative_to(FIXTURES.parent))  # noqa: T201


def from_world(world: World, run_id: str) -> None:
    """The documents that the pipeline leaves."""

    def text(pattern: str) -> str:
        (path, *_) = sorted(world.folder.glob(pattern))
        return path.read_text().replace(str(world.folder), "/world")

    run = f"work/runs/{run_id}"
    for step in ("record", "train", "evaluate", "test"):
        write(f"{step}_result", json.loads(text(f"{run}/tasks/{step}.json"))["result"])
        write(f"published_{step}_result", text(f"bucket/results/{step}/*/*/result.json"))
    sets = [
        path
        for path in (world.folder / "remote").rglob("*")
        if path.is_file() and b'"annotation_tag"' in path.read_bytes()
    ]
    write("training_set", sets[0].read_text())
    write("champion", text("bucket/champions/*/*.json"))
    write("history", text("bucket/results/train/*/*/*/history.json"))
    write("kept_predictions", text("work/evaluate/*/detections-*.json"))
    write("summary", text("bucket/results/test/*/*/*/summary.json"))
    write("run", text(f"{run}/run.json"))
    write("task_entry", text(f"{run}/tasks/train.json"))
    write("training_logs", text(f"{run}/training.json"))
    write("selected_model", text("bucket/evaluation/*/*/*/manifest.json"))
    write("current_model", text("bucket/evaluation/*/*/CURRENT.json"))


def from_calls(folder: Path) -> None:
    """The documents that other commands write, and small ones of large files."""
    torch.manual_seed(1)
    network = nn.Linear(2, 1)
    save_model(folder / "model.safetensors", network, make_card())
    write("model", (folder / "model.safetensors").read_bytes(), "safetensors")
    training = build(folder / "training", network=network)
    network(torch.ones(1, 2)).sum().backward()
    training.optimizer.step()
    history = [{"iteration": 2, "loss": 1.5}, {"iteration": 4, "loss": 1.25}]
    training.state = TrainingState(4, 2.5, 2, {"mask_AP": 0.25}, history=history)
    take_snapshot(training, {}).write(folder / "checkpoint.safetensors")
    write("checkpoint", (folder / "checkpoint.safetensors").read_bytes(), "safetensors")
    Checkpoints(folder / "checkpoints").save(training, {}, last=True)
    write("checkpoint_manifest", (folder / "checkpoints" / "00000004.json").read_text())
    weights, entry = folder / "weights.safetensors", folder / "weights.json"
    store(weights, entry, "W.V1", Download({"a": torch.zeros(1)}, "https://host/w.pth", "b" * 64, ("cat", "dog")))
    write("stored_weights", entry.read_bytes())
    write("weights_origin", weights.read_bytes(), "safetensors")
    package = folder / "sightline"
    package.mkdir()
    (package / "version.py").write_text('__version__ = "0.1.0"\n')
    snapshot = make_snapshot(package)
    write("code_manifest", snapshot.manifest.to_json())
    write("code_snapshot", snapshot.to_json())
    storage = open_storage(str(folder / "code-bucket"))
    publish_to_bucket(snapshot, storage)
    write("current_code", storage.read_bytes("code/CURRENT.json")[0])
    Finish("shapes_ann_v2", "a" * 40, "b" * 40, "c" * 40, "refs/heads/main", "staged").write(folder)
    write("unfinished_addition", next(folder.rglob("unfinished.json")).read_bytes())


def digests() -> dict[str, dict[str, str]]:
    """What names finished work, for some configurations."""
    return {
        recipe: {
            step: config_digest(step, decode(recipe, overrides)) for step in ("record", "train", "evaluate", "test")
        }
        for recipe, overrides in DIGESTS.items()
    }


def main() -> None:
    """Add what is missing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = World(folder / "world")
        world.folder.mkdir()
        world.make_data()
        from_world(world, world.run())
        from_calls(folder)
    write("digests", json.dumps(digests(), indent=1))


if __name__ == "__main__":
    main()
