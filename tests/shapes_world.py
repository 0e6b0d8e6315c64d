"""A world in which the whole pipeline has run: bucket, database, work volume and data repository in one folder."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sightline.config.decode import decode
from sightline.config.schema import Config
from sightline.config.task_declarations import task_declaration
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.tags import DatasetTag
from sightline.database import Database, open_database
from sightline.garbage import Sweep, sweep
from sightline.runs.local_run import LocalRun
from sightline.steps import task
from sightline.storage import Storage, fetch, open_storage
from sightline.tasks.base import load_model
from tests.squares import CLASSES, TINY_MODEL, TINY_TRAIN, write_labelme

WEEK = timedelta(days=7)
DAY_SECONDS = 86400
RECIPE = "instance_segmentation"


@dataclass
class World:
    """Places, and the pipeline as a run goes through it, in this process."""

    folder: Path
    task: str = RECIPE

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def bucket(self) -> Path:
        return self.folder / "bucket"

    def overrides(self, *more: str) -> list[str]:
        def section(name: str, values: dict) -> list[str]:
            return [f"{name}.{key}={json.dumps(value)}" for key, value in values.items()]

        network = set(task_declaration(self.task).network.model_fields)
        return [
            "data.tag=shapes_ann_v1",
            f"data.classes=[{', '.join(CLASSES)}]",
            "data.splits={train: 0.5, val: 0.25, test: 0.25}",
            "data.near_duplicate_distance=0",
            *section("model", TINY_MODEL.model_dump(mode="json", include=network)),
            *section("train", TINY_TRAIN.model_dump(mode="json", exclude={"best_metric"})),
            "train.iterations=2",
            "evaluate.drawn_images=1",
            "evaluate.minimum=0",
            f"data.repository={self.folder / 'data'}",
            f"storage.uri={self.bucket}",
            f"database.url=sqlite:///{self.folder / 'sightline.sqlite'}",
            f"work.dir={self.work}",
            *more,
        ]

    def config(self, *more: str) -> Config:
        return decode(self.task, self.overrides(*more))

    def storage(self) -> Storage:
        return open_storage(self.config().storage.uri)

    def database(self) -> Database:
        return open_database(self.config().database.url)

    def make_data(self) -> None:
        """The data repository with ten labelled images."""
        init_repository(self.folder / "data", str(self.folder / "remote"))
        write_labelme(self.folder / "shapes", 10)
        add_annotations(self.folder / "data", self.folder / "shapes", DatasetTag.parse("shapes_ann_v1"))

    def run(self, *more: str) -> str:
        """Resolve, record, train, evaluate and test; returns the run's id."""
        with LocalRun.begin(
            self.task, self.overrides(*more), ["record", "train", "evaluate", "test"], entry_point="x"
        ) as run:
            os.environ["SIGHTLINE_RUN_ID"] = run.document.run_id
            html = str(run.folder / "report.html")
            try:
                resolved = task.run_resolve(
                    self.task, "\n".join(self.overrides(*more)), "", "", steps="record,train,evaluate,test"
                )
                given = resolved.config.model_dump_json(), resolved.code_rev
                result = task.run_record(*given, html).result
                trained = task.run_train(*given, result).result
                evaluated = task.run_evaluate(*given, trained, html)
                task.run_promote(*given, trained)
                task.run_test(*given, evaluated.result, html)
            finally:
                del os.environ["SIGHTLINE_RUN_ID"]
        return run.document.run_id

    def states(self, run_id: str) -> dict[str, str]:
        paths = (self.work / "runs" / run_id / "tasks").glob("*.json")
        return {path.stem: json.loads(path.read_text())["state"] for path in paths}

    def age(self, days: float = 30, *, of: Path | None = None) -> None:
        """Let everything in a folder look as if nobody had touched it for so long."""
        root = of or self.folder
        moment = time.time() - days * DAY_SECONDS
        for path in [*root.rglob("*"), root]:
            os.utime(path, (moment, moment), follow_symlinks=False)

    def plant(self, path: Path, data: bytes = b"left", days: float = 30) -> Path:
        """A file that somebody left so many days ago."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.age(days, of=path)
        return path

    def sweep(self, *, delete: bool = False, older_than: timedelta = WEEK, config: Config | None = None) -> Sweep:
        return sweep(config or self.config(), older_than, delete=delete)

    def found(self, **options) -> dict[str, str]:
        """What is garbage, relative to the world's folder -> its kind."""
        garbage = self.sweep(**options).garbage
        return {entry.what.removeprefix(f"{self.folder}/"): entry.kind for entry in garbage}

    def files(self) -> dict[str, int]:
        """Every file but locks and the database, with its size."""
        return {
            path.relative_to(self.folder).as_posix(): path.stat().st_size
            for path in self.folder.rglob("*")
            if path.is_file() and path.suffix != ".lock" and "sightline.sqlite" not in path.name
        }

    def require_intact(self) -> None:
        """Everything that a result or a champion names is there and can be used."""
        storage = self.storage()
        for info in storage.list("results/"):
            if info.key.endswith("/result.json"):
                document = json.loads(storage.read_bytes(info.key)[0])
                assert {
                    name for name in document["files"] if storage.stat(f"{document['folder']}/{name}") is None
                } == set()
                for model in [*document["result"].get("models", []), *document["result"].get("candidates", [])]:
                    assert Path(model["uri"].removeprefix("file://")).is_file()
        for pointer in self.bucket.glob("champions/**/*.json"):
            champion = json.loads(pointer.read_text())
            for uri in filter(None, [champion["uri"], champion["previous_uri"]]):
                load_model(fetch(uri, self.folder / "fetched"))
        with closing(self.database()) as database:
            assert database.version("shapes_train_v1") is not None
