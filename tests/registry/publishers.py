"""Many processes that publish the same results at once, each with bytes of its own."""

from __future__ import annotations

import json
import multiprocessing
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sightline.registry.results import Candidate, TrainResult
from sightline.registry.store import created, find_result, folder_of, publish_result
from sightline.storage import open_storage

TAG = "plates_train_v1"
NAMES = ("best.safetensors", "history.json", "drawn/a.jpg")
THREADS = 4


def result_of(storage, key, publisher):
    base = storage.uri_of(f"results/train/{TAG}/{key}")
    candidate = Candidate("best", f"{base}/best.safetensors", "s" * 64, 4, {"mask_AP": 0.5})
    return TrainResult(TAG, "b" * 40, [candidate], 4, f"{base}/history.json", f"{base}/log.txt", float(publisher))


def contents(publisher, name):
    """Files of the same size for all publishers: only their bytes tell them apart."""
    return f"{publisher:04} {name} ".encode() * 500


def publish_all(storage, publisher, keys):
    """Publish one result after another; returns whose was published, by key."""
    won = {}
    with tempfile.TemporaryDirectory() as name:
        for file in NAMES:
            (Path(name) / file).parent.mkdir(exist_ok=True)
            (Path(name) / file).write_bytes(contents(publisher, file))
        for key in keys:
            result = result_of(storage, key, publisher)
            published = publish_result(storage, result, TAG, key, files=Path(name), config_digest="c")
            require_whole(storage, published)
            won[key] = int(published.seconds)
    return won


def require_whole(storage, result):
    """All that a published result names is there, and comes from one publisher."""
    publisher, folder = int(result.seconds), folder_of(storage, result)
    for name in NAMES:
        assert storage.read_bytes(f"{folder}/{name}")[0] == contents(publisher, name), (folder, name)
    assert result.candidates[0].uri == storage.uri_of(f"{folder}/best.safetensors")
    assert created(storage, result)


def _process(uri, publishers, keys, barrier, queue):
    storage, won = open_storage(uri), []
    barrier.wait(timeout=120)
    try:
        with ThreadPoolExecutor(len(publishers)) as pool:
            won = list(pool.map(lambda publisher: publish_all(storage, publisher, keys), publishers))
    finally:
        queue.put(won)


def publish_at_once(uri, *, publishers, results):
    """Let so many publishers publish so many results, all at once, in processes with four threads each.

    Returns:
        Whose result was published, by key, after everything was checked: for each key all of them agree, and the files
        that lie in the bucket are those of the winner.
    """
    keys = [f"k{number:04}" for number in range(results)]
    context = multiprocessing.get_context("fork")
    groups = [range(start, min(start + THREADS, publishers)) for start in range(0, publishers, THREADS)]
    barrier, queue = context.Barrier(len(groups)), context.SimpleQueue()
    processes = [context.Process(target=_process, args=(uri, group, keys, barrier, queue)) for group in groups]
    for process in processes:
        process.start()
    told = [won for _ in processes for won in queue.get()]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(groups)
    assert len(told) == publishers
    assert all(won == told[0] for won in told), "publishers were told of different winners"
    storage = open_storage(uri)
    for key in keys:
        result = find_result(storage, TrainResult, TAG, key)
        assert int(result.seconds) == told[0][key]
        require_whole(storage, result)
        document = json.loads(storage.read_bytes(f"results/train/{TAG}/{key}/result.json")[0])
        infos = {info.key: info for info in storage.list(f"{document['folder']}/")}
        assert {
            f"{document['folder']}/{name}": (file["size"], file["crc32c"]) for name, file in document["files"].items()
        } == {name: (info.size, info.crc32c) for name, info in infos.items()}
    return told[0]
