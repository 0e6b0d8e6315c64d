"""The stories of the systems that Sightline replaces, as their users would type them, with tiny networks."""

import json
import re
from pathlib import Path

from tests.e2e.conftest import World

SHORT = [
    "train.iterations=4",
    "train.batch_size=4",
    "train.warmup_iterations=0",
    "train.validate_every=2",
    "train.checkpoint_every=2",
    "train.log_every=1",
    "train.workers=0",
    "evaluate.drawn_images=2",
]
"""Overrides of every story: nothing is learned."""


class SeedWorld(World):
    """A home with a data repository, and runs of any recipe."""

    def add(self, folder, dataset):
        """Publish a folder as the first version of a dataset; returns what ``data add`` said."""
        if not (self.folder / "data").exists():
            self.sightline("data", "init", str(self.folder / "data"), "--remote", str(self.folder / "remote"))
        return self.sightline("data", "add", str(folder), "--dataset", dataset, "--version", "v1")

    def start(self, recipe, *overrides, steps="record,train,evaluate,test", expect=0):
        """Run the pipeline on this machine; returns its output."""
        given = [part for override in [*SHORT, *overrides] for part in ("--set", override)]
        return self.pipeline("run", "--local", "--recipe", recipe, *given, "--steps", steps, expect=expect)

    def result(self, step):
        """What a step of the last run returned."""
        return json.loads(self.journal(self.runs()[-1]["run_id"])[step]["result"])

    def document(self, tag, split):
        """A split of a training set, as COCO."""
        (path,) = (self.home / "work" / "checkouts").glob(f"{tag}-*/training/*/{split}.json")
        return json.loads(path.read_text())

    def summary(self, step="test"):
        """``summary.json`` of a step of the last run."""
        folder = self.result(step)["files"].removeprefix("file://")
        return json.loads((Path(folder) / "summary.json").read_text())

    def page(self):
        """The page of the last run, without pictures."""
        page = self.home / "work" / "runs" / self.runs()[-1]["run_id"] / "report" / "index.html"
        return re.sub(r"base64,[A-Za-z0-9+/=]+", "", page.read_text())
