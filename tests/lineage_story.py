"""A small story in a database, told through what the steps call: versions, runs, models, champions.

R1 trains on v1 and makes the first champion; R2 finds the work of R1 and selects the same model; R3 trains on v2, beats
the champion by mask_AP and not by EIR, and fails in its test.
"""

from __future__ import annotations

import hashlib
import json

from sightline.config.decode import decode
from sightline.config.digest import config_digest
from sightline.database import (
    CategoryCount,
    DecisionRecord,
    ImageRecord,
    ModelRecord,
    ModelUse,
    PromotionRecord,
    RunRecord,
    VersionRecord,
)

R1, R2, R3 = "20261119-090812-cd94", "20261119-101500-00aa", "20261120-140233-7be1"
CODE = "0.1.0+4f2c9ab1d7e8"
FILES = "file:///srv/sightline/bucket/results/train"


def sha(name):
    return hashlib.sha256(name.encode()).hexdigest()


BEST1, LAST1, BEST2, LAST2 = (sha(name) for name in ("best1", "last1", "best2", "last2"))


def tell(database, *, places=""):
    """Write the story; ``places`` are more overrides of the configurations."""
    for version, counts in (("v1", (6, 2, 2)), ("v2", (8, 3, 3))):
        register(database, "plates", version, counts)
    start(database, R1, "plates_ann_v1", ["train.iterations=120", *places])
    offer(database, R1, "v1", {"best": (BEST1, 0.51, 0.92), "last": (LAST1, 0.47, 0.90)})
    evaluate(database, R1, "v1", {"mask_AP": BEST1, "EIR": BEST1}, ["best", "last"], (BEST1, LAST1))
    promote(database, R1, "mask_AP", BEST1, None, 0.51, None)
    promote(database, R1, "EIR", BEST1, None, 0.92, None)
    test(database, R1, "v1", {BEST1: (0.49, 0.91)})
    database.finish_run(R1, "succeeded")

    start(database, R2, "plates_ann_v1", ["train.iterations=120", *places])
    database.record_uses(R2, [ModelUse(BEST1, "best"), ModelUse(LAST1, "last"), ModelUse(BEST1, "tested")])
    database.record_uses(R2, [ModelUse(BEST1, "selected", metric) for metric in ("mask_AP", "EIR")])
    database.finish_run(R2, "succeeded")

    start(database, R3, "plates_ann_v2", ["train.iterations=900", "train.learning_rate=0.0005", *places])
    offer(database, R3, "v2", {"best": (BEST2, 0.62, 0.88), "last": (LAST2, 0.60, 0.87)})
    database.record_metrics(BEST1, "plates_train_v2", "val", {"mask_AP": 0.5, "EIR": 0.9})
    uses = {"mask_AP": BEST2, "EIR": BEST1}
    evaluate(database, R3, "v2", uses, ["best", "last", "champion"], (BEST2, LAST2, BEST1))
    database.record_uses(R3, [ModelUse(BEST2, "proposed", metric) for metric in uses])
    better, worse = (0.12, 0.04, 0.2, 0.99), (-0.02, -0.05, 0.01, 0.12)
    decide(database, R3, "mask_AP", "promoted", (BEST2, BEST1), (0.62, 0.5, *better))
    decide(database, R3, "EIR", "refused", (BEST2, BEST1), (0.88, 0.9, *worse))
    promote(database, R3, "mask_AP", BEST2, BEST1, 0.62, 0.5)
    database.finish_run(R3, "failed", "test: test.images: no image lies below /srv/photos; give a folder with images")


def register(database, dataset, version, counts):
    ann, train = f"{dataset}_ann_{version}", f"{dataset}_train_{version}"
    splits = [name for name, number in zip(("train", "val", "test"), counts, strict=True) for _ in range(number)]
    images = [
        ImageRecord(split, f"annotations/{dataset}/{i}.jpg", sha(f"{version}{i}"), 20_000 + i, 640, 480)
        for i, split in enumerate(splits)
    ]
    plain = [ImageRecord("", image.path, image.sha256, image.size_bytes, 640, 480) for image in images]
    commits = {tag: hashlib.sha1(tag.encode()).hexdigest() for tag in (ann, train)}
    digests = {tag: hashlib.md5(tag.encode()).hexdigest() for tag in (ann, train)}
    record = VersionRecord(dataset, version, "annotations", ann, commits[ann], digests[ann])
    database.register_version(record, plain, [CategoryCount("0", "", 3, 2)])
    record = VersionRecord(dataset, version, "training", train, commits[train], digests[train], ann, recorded(ann))
    database.register_version(record, images, [CategoryCount("0", "train", 3, 2)])


def recorded(tag, *overrides):
    """The digest of the configuration that a training set is recorded with."""
    return config_digest("record", decode("plates", [f"data.tag={tag}", *overrides]))


def start(database, run_id, tag, overrides):
    configuration = json.dumps(
        decode("plates", [f"data.tag={tag}", *overrides]).model_dump(mode="json"), sort_keys=True
    )
    database.start_run(RunRecord(run_id, "plates", configuration, sha(configuration), tag, CODE))


def offer(database, run_id, version, candidates):
    """What train writes."""
    for name, (sha256, ap, eir) in candidates.items():
        uri = f"{FILES}/plates_train_{version}/{sha256[:16]}/{name}.safetensors"
        database.register_model(
            ModelRecord(sha256, uri, "instance_segmentation", f"plates_train_{version}", run_id, CODE)
        )
        values = {"mask_AP": ap, "EIR": eir, "box_AP": ap + 0.1, "mask_AP50": ap + 0.3, "dv_mAP": ap - 0.05}
        database.record_metrics(sha256, f"plates_train_{version}", "val", values)
    database.record_uses(run_id, [ModelUse(sha256, name) for name, (sha256, _, _) in candidates.items()])


def evaluate(database, run_id, version, selected, names, models):
    """What evaluate writes, but for promotions."""
    database.record_uses(run_id, [ModelUse(model, name) for name, model in zip(names, models, strict=True)])
    database.record_uses(run_id, [ModelUse(model, "selected", metric) for metric, model in selected.items()])


def decide(database, run_id, metric, outcome, models, numbers):
    reason = f"{metric} {numbers[0]} against {numbers[1]}"
    made = DecisionRecord(metric, outcome, *models, *numbers, 0.95, reason, FILES.replace("train", "evaluate"))
    database.record_decisions(run_id, [*database.decisions(run_id), made])


def promote(database, run_id, metric, model, previous, value, previous_value):
    database.record_promotion(PromotionRecord("plates", metric, model, previous, value, previous_value, run_id))


def test(database, run_id, version, models):
    """What test writes."""
    for model, (ap, eir) in models.items():
        database.record_metrics(model, f"plates_train_{version}", "test", {"mask_AP": ap, "EIR": eir, "box_AP": ap})
    database.record_uses(run_id, [ModelUse(model, "tested") for model in models])
