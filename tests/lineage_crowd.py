"""A database with as many versions, images, runs and models as a team has after years; for plans and benchmarks."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, text

from sightline.database.schema.tables import METADATA

START = datetime(2026, 1, 1, tzinfo=UTC)
CHUNK = 5_000
METRICS = ("EIR", "box_AP", "box_AP50", "box_AP75", "dv_mAP", "mask_AP", "mask_AP50", "mask_AP75")


def model_sha(number):
    return hashlib.sha256(b"model %d" % number).hexdigest()


def fill(engine, *, versions, images, runs):
    """``versions`` annotation and training versions in all, ``images`` rows, ``runs`` runs of two models each."""
    pairs = versions // 2
    add(engine, "dataset_versions", version_rows(pairs))
    add(engine, "images", image_rows(versions, images))
    add(engine, "split_counts", split_rows(pairs))
    add(engine, "runs", run_rows(runs, pairs))
    add(engine, "models", model_rows(runs, pairs))
    add(engine, "run_models", use_rows(runs))
    add(engine, "metrics", metric_rows(runs, pairs))
    add(engine, "promotions", promotion_rows(runs))
    with engine.begin() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(text(f"ANALYZE {'' if engine.dialect.name == 'sqlite' else 'TABLE '}{table.name}"))


def add(engine, table, rows):
    chunk = []
    with engine.begin() as connection:
        for row in rows:
            chunk.append(row)
            if len(chunk) == CHUNK:
                connection.execute(insert(METADATA.tables[table]), chunk)
                chunk = []
        if chunk:
            connection.execute(insert(METADATA.tables[table]), chunk)


def version_rows(pairs):
    for number in range(pairs):
        for offset, kind, short in ((1, "annotations", "ann"), (2, "training", "train")):
            tag = f"plates_{short}_v{number}"
            yield {
                "id": 2 * number + offset,
                "dataset": "plates",
                "version": f"v{number}",
                "kind": kind,
                "tag": tag,
                "commit": hashlib.sha1(tag.encode()).hexdigest(),
                "digest": hashlib.md5(tag.encode()).hexdigest(),
                "parent_tag": f"plates_ann_v{number}" if kind == "training" else "",
                "configuration_digest": "",
                "state": "published",
                "images": 0,
                "created_at": START + timedelta(hours=number),
            }


def image_rows(versions, images):
    each = images // versions
    for version in range(1, versions + 1):
        names = sorted(hashlib.sha256(b"%d" % number).hexdigest() for number in range(each))
        for number, name in enumerate(names):
            yield {
                "version_id": version,
                "path_sha256": name,
                "path": f"annotations/plates/{number:07d}.jpg",
                "split": ("train", "train", "val", "test")[number % 4],
                "sha256": name,
                "size_bytes": 200_000,
                "width": 1920,
                "height": 1080,
                "group_name": "",
            }


def split_rows(pairs):
    for number in range(pairs):
        for split, images in (("train", 500), ("val", 250), ("test", 250)):
            yield {"version_id": 2 * number + 2, "split": split, "images": images}


def run_rows(runs, pairs):
    configuration = json.dumps({"recipe": "plates", "train": {f"field_{i}": i for i in range(100)}})
    for number in range(runs):
        yield {
            "id": number + 1,
            "run_id": f"run-{number:05d}",
            "recipe": "plates",
            "configuration": configuration,
            "configuration_digest": hashlib.sha256(b"%d" % number).hexdigest(),
            "dataset_tag": f"plates_ann_v{number % pairs}",
            "code_rev": "0.1.0",
            "state": "succeeded",
            "started_at": START + timedelta(minutes=number),
            "finished_at": START + timedelta(minutes=number + 5),
            "message": "",
        }


def model_rows(runs, pairs):
    for number in range(2 * runs):
        run, name = number // 2, ("best", "last")[number % 2]
        yield {
            "id": number + 1,
            "sha256": model_sha(number),
            "uri": f"gs://bucket/results/train/plates_train_v{run % pairs}/{run:016x}/{name}.safetensors",
            "task": "instance_segmentation",
            "training_tag": f"plates_train_v{run % pairs}",
            "run_id": f"run-{run:05d}",
            "code_rev": "0.1.0",
            "created_at": START + timedelta(minutes=run),
        }


def use_rows(runs):
    for run in range(runs):
        best, last = 2 * run + 1, 2 * run + 2
        champion = max(1, best - best % 20)
        roles = [
            (best, "best", ""),
            (last, "last", ""),
            (champion, "champion", ""),
            (best, "selected", "mask_AP"),
            (best, "tested", ""),
        ]
        for model, role, metric in roles:
            yield {"run_id": f"run-{run:05d}", "model_id": model, "role": role, "metric": metric}


def metric_rows(runs, pairs):
    for run in range(runs):
        tag = f"plates_train_v{run % pairs}"
        for model in (2 * run + 1, 2 * run + 2):
            for split in ("val", "test"):
                for name in METRICS:
                    yield {"model_id": model, "dataset_tag": tag, "split": split, "name": name, "value": 0.5}


def promotion_rows(runs):
    for number in range(runs // 10):
        yield {
            "dataset": "plates",
            "metric": "mask_AP",
            "sequence": number + 1,
            "model_id": 20 * number + 1,
            "previous_model_id": 20 * (number - 1) + 1 if number else None,
            "value": 0.5,
            "previous_value": 0.4 if number else None,
            "run_id": f"run-{10 * number:05d}",
            "promoted_at": START + timedelta(minutes=10 * number),
        }
