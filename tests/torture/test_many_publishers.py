"""Many publishers of the same results at once: each result is of one of them, and all are told of which."""

from __future__ import annotations

import json
import time
from collections import Counter

import pytest

from sightline.registry.results import TrainResult
from sightline.registry.store import find_result, folder_of
from sightline.storage import open_storage
from tests.torture import tortured
from tests.torture.recording import environment

MODEL = tortured.RESULT_FILES[2]


@pytest.mark.slow
def test_many_publishers_at_once(tmp_path, bucket, warm_processes, amount, figures):
    storage, publishers = open_storage(bucket), amount(4, 16)
    keys = [f"key{number}" for number in range(amount(5, 200))]
    processes, began = [], time.monotonic()
    for stamp in range(publishers):
        log, answer = tmp_path / f"{stamp}.log", tmp_path / f"{stamp}.json"
        arguments = (bucket, str(tmp_path / str(stamp)), keys, stamp, str(answer))
        target = (tortured.publish_each, str(log), environment(), *arguments)
        processes.append((warm_processes.Process(target=tortured.watched, args=target, daemon=True), log, answer))
        processes[-1][0].start()
    for process, log, _ in processes:
        process.join(timeout=1200)
        assert process.exitcode == 0, log.read_text()[-3000:]
    answers = [json.loads(answer.read_text()) for _, _, answer in processes]
    assert all(answer == answers[0] for answer in answers)
    assert list(answers[0]) == keys
    for key, stamp in answers[0].items():
        result = find_result(storage, TrainResult, tortured.TAG, key)
        assert result.iterations == stamp
        model = storage.read_bytes(f"{folder_of(storage, result)}/{MODEL}")[0]
        assert model.decode() == f"{stamp} {MODEL}\n" * 1000
    won = Counter(answers[0].values())
    figures(
        f"{publishers} publishers of {len(keys)} models, one winner each, {time.monotonic() - began:.0f} s",
        winners=len(won),
    )
