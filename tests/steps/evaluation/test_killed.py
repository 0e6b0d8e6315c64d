"""evaluate and test, killed with SIGKILL at every step on the way and started again, end as if left alone."""

from __future__ import annotations

import json
import os
import re
import signal
from contextlib import closing
from dataclasses import asdict, replace

import pytest

from sightline.database import Database, open_database
from sightline.registry import results
from sightline.steps import promote
from sightline.steps import test as testing
from sightline.storage.local import LocalStorage
from sightline.tasks.detection.predictor import DetectionPredictor
from tests.steps.evaluation.conftest import Site

MOMENTS = [
    "predict 3",  # the first model is half inferred
    "predict 9",  # the first model's detections are kept, the second is half inferred
    "write evaluation/plates_train_v1/mask_AP/*/manifest.json",  # the model is uploaded, its manifest is not
    "write evaluation/plates_train_v1/EIR/CURRENT.json",
    "write results/evaluate/*/drawn/",
    "write results/evaluate/*/result.json",  # everything is there but the decision
    "write champions/plates/mask_AP/history/000001.json",  # decided, not yet promoted
    "write champions/plates/mask_AP.json",  # the entry of the history is written, the pointer is not
    "promote EIR",  # both pointers moved, or one: not in the database
    "predict 2",  # test has begun
    "write results/test/*/predictions.json",
    "write results/test/*/result.json",
    "nothing",
]

CONTENTS = re.compile(r"/[0-9a-f]{16}(?=[/\"])(?!/model)|(?<=summary)-[0-9a-f]{16}")
"""What names publications and summaries after their contents, which tell times and speeds."""


def run_both(site: Site) -> tuple[results.EvaluateResult, results.TestResult]:
    chosen = promote.run(site.config(), "code", site.trained(site.model(20), site.model(70)))
    return chosen, testing.run(site.config(), "code", chosen)


def outcome(site: Site) -> dict:
    """Everything that was decided and measured; nothing that names a time, a speed or the folder."""
    chosen, tested = run_both(site)
    with closing(open_database(site.config().database.url)) as database:
        rows = [database.champion("plates", metric).record for metric in ("mask_AP", "EIR")]
    document = {
        "evaluate": asdict(replace(chosen, seconds=0.0, models=[replace(one, profile=None) for one in chosen.models])),
        "test": [asdict(replace(model, images_per_second=0.0)) for model in tested.models],
        "champions": [site.champion(metric) | {"promoted_at": ""} for metric in ("mask_AP", "EIR")],
        "rows": [asdict(row) for row in rows],
        "summary": without_speed(site.summary(chosen.files)),
        "files": sorted(
            {
                CONTENTS.sub("", path.relative_to(site.folder / "bucket").as_posix())
                for path in (site.folder / "bucket").rglob("*")
                if path.is_file() and ".sightline" not in path.parts
            }
        ),
    }
    return json.loads(CONTENTS.sub("", json.dumps(document)).replace(str(site.folder), "SITE"))


def without_speed(summary: dict) -> dict:
    return summary | {"models": {name: one | {"profile": None} for name, one in summary["models"].items()}}


def killed_at(moment: str, site: Site) -> int:
    """Run both steps in a process that kills itself at ``moment``; its signal, or 0 when it came to its end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _watch(moment)
            run_both(site)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0, "the run failed instead of being killed"
    return os.WTERMSIG(status)


def _watch(moment: str) -> None:
    begin, _, end = (f"{moment} " if moment.startswith("predict") else moment).partition("*")

    def die_at(what: str) -> None:
        if what.startswith(begin) and end in what:
            os.kill(os.getpid(), signal.SIGKILL)

    predict, write, promote = DetectionPredictor.predict, LocalStorage._write, Database.record_promotion
    calls = iter(range(1, 10**6))

    def watched_predict(self, image, image_id=0):
        die_at(f"predict {next(calls)} ")
        return predict(self, image, image_id)

    def watched_write(self, key, *arguments):
        die_at(f"write {key}")
        return write(self, key, *arguments)

    def watched_promote(self, promotion, *arguments):
        die_at(f"promote {promotion.metric}")
        return promote(self, promotion, *arguments)

    DetectionPredictor.predict, LocalStorage._write, Database.record_promotion = (
        watched_predict,
        watched_write,
        watched_promote,
    )


@pytest.mark.usefixtures("oracle")
def test_killed_again_and_again(site):
    twin = Site(site.folder / "twin", site.data, site.commits)
    twin.folder.mkdir()
    (twin.folder / "work").mkdir()
    for shared in ("checkouts", "dvc-cache"):
        (twin.folder / "work" / shared).symlink_to(site.folder / "work" / shared)

    signals = {moment: killed_at(moment, twin) for moment in MOMENTS}

    assert signals == dict.fromkeys(MOMENTS[:-1], signal.SIGKILL) | {"nothing": 0}
    assert outcome(twin) == outcome(site)
