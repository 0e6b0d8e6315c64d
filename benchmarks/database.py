"""Rows a second of register_version against an ORM session that adds every row, on one database.

python benchmarks/database.py [--url mysql+pymysql://user@host/name] [--images 100000]
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from sightline.database import CategoryCount, ImageRecord, VersionRecord
from sightline.database.connection import connect
from sightline.database.models import DatasetVersion, Image
from sightline.database.registry import Database
from sightline.database.schema import upgrade


def naive(engine, version, images):
    """What one writes first: objects, add_all, commit."""
    with Session(engine) as session:
        fields = {name: getattr(version, name) for name in VersionRecord.__slots__}
        row = DatasetVersion(**fields, state="published", images=len(images), created_at=datetime.now(UTC))
        session.add(row)
        session.flush()
        session.add_all(
            Image(
                version_id=row.id,
                path_sha256=hashlib.sha256(image.path.encode()).hexdigest(),
                path=image.path,
                split=image.split,
                sha256=image.sha256,
                size_bytes=image.size_bytes,
                width=image.width,
                height=image.height,
                group_name=image.group,
            )
            for image in images
        )
        session.commit()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="")
    parser.add_argument("--images", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        engine = connect(arguments.url or f"sqlite:///{folder}/x.sqlite")
        upgrade(engine)
        images = [
            ImageRecord("train", f"annotations/plates/{i:07d}.jpg", hashlib.sha256(b"%d" % i).hexdigest(), i, 640, 480)
            for i in range(arguments.images)
        ]
        counts = [CategoryCount(f"class {i}", split, i, i) for i in range(22) for split in ("train", "val", "test")]
        database, rates = Database(engine), {"register_version": 0.0, "naive ORM": 0.0}
        for repeat in range(3):
            for name in list(rates):
                tag = f"bench_{name}_{repeat}_{time.time_ns()}"
                version = VersionRecord("bench", tag, "training", tag, "c", "d")
                start = time.perf_counter()
                if name == "naive ORM":
                    naive(engine, version, images)
                else:
                    database.register_version(version, images, counts)
                rates[name] = max(rates[name], len(images) / (time.perf_counter() - start))
        engine.dispose()
    for name, rate in rates.items():
        print(f"{name:18} {rate:10,.0f} rows/s (best of 3, {len(images):,} images)")
    print(f"{'ratio':18} {rates['register_version'] / rates['naive ORM']:10.1f}")


if __name__ == "__main__":
    main()
