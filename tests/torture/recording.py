"""A data repository with several datasets, recorded by several processes; and everything that record leaves behind."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sqlalchemy import text

from sightline.config.decode import decode
from sightline.config.schema import Config
from sightline.data.git.commands import git
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.repository.history import list_tags, open_history
from sightline.data.tags import DatasetTag
from sightline.database import open_database
from sightline.database.engine.connection import connect
from sightline.database.schema.tables import METADATA
from sightline.database.schema.upgrade import upgrade
from sightline.storage import open_storage
from tests.labelled_folder import CLASSES, names, write_images
from tests.torture import tortured

CODE = "0.1.0-test"
IMAGES = 6
OBJECT_KEY = re.compile(r"files/md5/[0-9a-f]{2}/[0-9a-f]{30}(\.dir)?")
"""Not what DVC is still writing under another name."""

PASSED_ON = ("SIGHTLINE_DATABASE_PASSWORD", "STORAGE_EMULATOR_HOST", "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT")
HALF = """
SELECT v.tag FROM dataset_versions v WHERE v.state <> 'published'
OR v.images <> (SELECT count(*) FROM images i WHERE i.version_id = v.id)
OR (SELECT count(*) FROM category_counts c WHERE c.version_id = v.id) = 0
"""


def environment() -> dict[str, str]:
    """What a process that was forked earlier must be told."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


@dataclass
class World:
    """A data repository, a DVC remote, a bucket, a database and a work volume.

    Attributes:
        folder: Holds the repository and the work volume.
        database_url: The database.
        store: URI below which the DVC remote and the bucket lie.
        tags: Annotation tags, by dataset in the order of their versions.
    """

    folder: Path
    database_url: str
    store: str
    tags: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.repository, self.work, self.logs = self.folder / "data", self.folder / "work", self.folder / "logs"
        self.remote, self.bucket = f"{self.store}/remote", f"{self.store}/bucket"

    @classmethod
    def on(cls, other: World, database_url: str) -> World:
        """``other`` as it was before anything was recorded, with an empty database."""
        world = cls(other.folder, database_url, other.store, other.tags)
        world.forget()
        return world

    @classmethod
    def made(cls, folder: Path, database_url: str, store: str, datasets: int, versions: int) -> World:
        """A world in which nothing is recorded yet."""
        world = cls(folder, database_url, store)
        world.logs.mkdir(parents=True)
        init_repository(world.repository, world.remote)
        for dataset in (f"pets{number}" for number in range(datasets)):
            world.tags[dataset] = [f"{dataset}_ann_v{version}" for version in range(1, versions + 1)]
            for version, tag in enumerate(world.tags[dataset]):
                some = [f"{dataset}-{name}" for name in names(IMAGES, start=2 * version)]
                photos = write_images(folder / f"photos-{tag}", some)
                add_annotations(world.repository, photos, DatasetTag.parse(tag))
        return world

    def config(self, tag: str, *overrides: str) -> Config:
        """The configuration of a record of ``tag`` here."""
        places = [
            f"data.repository={self.repository}",
            f"storage.uri={self.bucket}",
            f"database.url={self.database_url}",
            f"work.dir={self.work}",
        ]
        classes = ", ".join(CLASSES)
        settings = [f"data.tag={tag}", f"data.classes=[{classes}]", "data.jobs=1", "data.timeout_seconds=300"]
        return decode("instance_segmentation", [*settings, *places, *overrides])

    def start(self, context: Any, tag: str, name: str = "", *overrides: str) -> BaseProcess:
        """Record ``tag`` in a warm process, with its log in :meth:`log_of` and its result in :meth:`answer_of`."""
        name = name or tag
        self.answer_of(name).unlink(missing_ok=True)
        arguments = (self.config(tag, *overrides).model_dump_json(), CODE, str(self.answer_of(name)))
        target = (tortured.record_tag, str(self.log_of(name)), environment(), *arguments)
        process = context.Process(target=tortured.watched, args=target, daemon=True)
        process.start()
        return process

    def record_all(self, context: Any) -> None:
        """Record every version, the datasets side by side."""
        for tags in zip(*self.tags.values(), strict=True):
            processes = {tag: self.start(context, tag) for tag in tags}
            for tag, process in processes.items():
                process.join(timeout=300)
                assert process.exitcode == 0, self.end_of_log(tag)

    def end_of_log(self, name: str) -> str:
        path = self.log_of(name)
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def answer_of(self, name: str) -> Path:
        return self.logs / f"{name}.json"

    def half_registered(self) -> list[str]:
        """Versions in the database that lack rows, or are pending."""
        engine = connect(self.database_url)
        try:
            with engine.connect() as connection:
                return [row[0] for row in connection.execute(text(HALF))]
        finally:
            engine.dispose()

    def orphans(self, training_tag: str) -> list[str]:
        """What a training tag or its row promise and is not there."""
        database = open_database(self.database_url)
        row = database.version(training_tag)
        database.close()
        if training_tag not in list_tags(str(self.repository), 60):
            return [f"{training_tag} has a row and no tag"] if row else []
        tag = DatasetTag.parse(training_tag)
        with open_history(str(self.repository), [tag], 60) as history:
            manifest = history.manifest(tag)
        present = self.objects("training")
        return [name for name, md5 in manifest.items() if present.get(f"{md5[:2]}/{md5[2:]}") != md5]

    def state(self) -> dict[str, Any]:
        """Everything that record leaves behind, but times."""
        return {
            "tags": list_tags(str(self.repository), 60),
            "rows": self._rows(),
            "results": self._results(),
            "objects": [self.objects(room) for room in ("annotations", "training")],
        }

    def objects(self, room: str) -> dict[str, str]:
        """What a DVC remote holds: each object and the MD5 of its bytes."""
        storage = open_storage(f"{self.remote}/{room}")
        keys = [key for key in storage.names("files/md5/") if OBJECT_KEY.fullmatch(key)]
        return {key.removeprefix("files/md5/"): hashlib.md5(storage.read_bytes(key)[0]).hexdigest() for key in keys}

    def left_over(self) -> list[str]:
        """Half-made things that a finished record must not leave: parts, and locks of git."""
        found = [*self.work.rglob("*.part"), *(self.repository / ".git").rglob("*.lock")]
        return sorted(str(path) for path in found if path.name != "sightline.lock")

    def forget(self) -> None:
        """Make all as it was before anything was recorded."""
        engine = connect(self.database_url)
        upgrade(engine)
        with engine.begin() as connection:
            for table in reversed(METADATA.sorted_tables):
                connection.execute(table.delete())
        engine.dispose()
        for tag in list_tags(str(self.repository), 60):
            if "_train_" in tag:
                git("tag", "--delete", tag, cwd=self.repository, timeout_seconds=60)
        for uri in (f"{self.remote}/training", self.bucket):
            storage = open_storage(uri)
            for info in list(storage.list()):
                storage.delete(info.key)
        for folder in (self.work, self.logs):
            shutil.rmtree(folder, ignore_errors=True)
        self.logs.mkdir()

    def _rows(self) -> list[Any]:
        database = open_database(self.database_url)
        rows = [
            (
                asdict(row.record),
                row.images,
                sorted((asdict(image) for image in database.images(row.record.tag)), key=str),
                [asdict(count) for count in database.category_counts(row.record.tag)],
            )
            for row in database.versions()
        ]
        database.close()
        return sorted(rows, key=lambda row: row[0]["tag"])

    def _results(self) -> dict[str, Any]:
        storage = open_storage(self.bucket)
        results: dict[str, Any] = {}
        for info in storage.list("results/record/"):
            if info.key.endswith("/result.json"):
                document = json.loads(storage.read_bytes(info.key)[0])
                result = document["result"] | {"seconds": 0}
                folder = result["files"].removeprefix(storage.uri + "/")
                numbers = json.loads(storage.read_bytes(f"{folder}/report.json")[0])
                assert storage.read_bytes(f"{folder}/report.html")[1].size > 1000
                results[info.key] = (result, sorted(document["files"]), numbers)
        return results
