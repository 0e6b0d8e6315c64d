"""Training in several real processes, connected by Gloo on the CPU."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from sightline.engine.job import Failure, read_failures
from sightline.errors import ConfigurationError, DataError, StepError
from sightline.temporary_folder import is_left_behind
from tests.engine.several import make_job, run, seen, write_training_set
from tests.golden import raises
from tests.squares import TINY_TRAIN

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-5
"""Relative difference of a loss, from the order of additions; measured: 4e-7 (docs/training.md)."""

EXACT = {"batch_size": 5, "micro_batch": 1}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_training_set(tmp_path_factory.mktemp("processes") / "data")


@pytest.fixture(scope="module")
def in_two(source):
    """The folder of an undisturbed training in two processes with batches of five images: three and two."""
    folder = source.path.parent / "two"
    run(make_job(folder, source, **EXACT), 2)
    return folder


def require_same(folder, other, processes):
    """The same images and, within the tolerance, the same losses as in one process."""
    one, several = seen(other, 1), seen(folder, processes)
    assert [batch for batch, _ in several.values()] == [batch for batch, _ in one.values()]
    assert several.keys() == one.keys() == set(range(1, TINY_TRAIN.iterations + 1))
    for iteration, (_, losses) in several.items():
        assert losses == pytest.approx(one[iteration][1], rel=TOLERANCE, abs=TOLERANCE)


def weights(folder):
    return load_file(folder / "train" / "files" / "last.safetensors")


def require_equal_weights(folder, other):
    mine, expected = weights(folder), weights(other)
    assert mine.keys() == expected.keys()
    assert all(torch.equal(mine[name], expected[name]) for name in expected)


def test_two_processes_see_the_images_of_one_and_compute_its_losses(in_two, source, tmp_path):
    run(make_job(tmp_path, source, **EXACT), 1)
    require_same(in_two, tmp_path, 2)
    files = {path.name for path in (in_two / "train" / "files").iterdir()}
    assert {"best.safetensors", "last.safetensors", "metrics.jsonl", "log.txt"} <= files
    log = (in_two / "train" / "files" / "log.txt").read_text()
    assert log.count("6/6 loss") == 1  # the other process logs nothing


@pytest.mark.slow
def test_three_processes_compute_the_losses_of_one(source, tmp_path):
    settings = {"batch_size": 6, "micro_batch": 1}
    run(make_job(tmp_path / "three", source, **settings), 3)
    run(make_job(tmp_path / "one", source, **settings), 1)
    require_same(tmp_path / "three", tmp_path / "one", 3)


def test_the_error_of_any_process_ends_all_and_keeps_its_class(source, tmp_path):
    before = set(psutil.Process().children(recursive=True))
    job = make_job(tmp_path, source, {"kind": "data", "rank": 1, "iteration": 3}, **EXACT)
    with raises(DataError, "image 7", "rank 1 of 2"):
        run(job, 2)
    assert set(psutil.Process().children(recursive=True)) <= before
    assert seen_iterations(tmp_path) == 2


@pytest.mark.slow
def test_a_killed_process_ends_the_others_and_another_machine_continues_exactly(in_two, source, tmp_path):
    """Without the work volume: from the copies in the bucket."""
    job = make_job(tmp_path, source, {"kind": "kill", "rank": 1, "iteration": 4}, checkpoint_minutes=1e-4, **EXACT)
    with raises(StepError, "rank 1", "SIGKILL", "memory"):
        run(job, 2)
    shutil.rmtree(job.folder)
    job.files.mkdir(parents=True)
    run(job, 2)
    log = (job.files / "log.txt").read_text()
    assert log.count("fetched the checkpoint") == log.count("resuming after iteration") == 1
    require_equal_weights(tmp_path, in_two)


@pytest.mark.slow
def test_an_unexpected_error_is_reported_with_its_traceback_in_the_log(source, tmp_path):
    job = make_job(tmp_path, source, {"kind": "bug", "rank": 1, "iteration": 2}, **EXACT)
    with pytest.raises(StepError, match=r"rank 1 of 2 .*AttributeError"):
        run(job, 2)
    log = (job.files / "log.txt").read_text()
    assert "ERROR   rank 1: unexpected error\nTraceback" in log
    assert log.count("Traceback") == 1


@pytest.mark.slow
def test_a_loss_that_is_not_finite_in_one_process_stops_all(source, tmp_path):
    job = make_job(tmp_path, source, {"kind": "nan", "rank": 1, "iteration": 2}, skip_not_finite=0, **EXACT)
    with pytest.raises(StepError, match=r"iteration 2: .*not finite"):
        run(job, 2)
    saved = {path.name for path in (job.files / "not-finite").iterdir()}
    assert {"state.safetensors", "batch-rank0.json", "batch-rank1.json"} <= saved


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_processes_end_with_the_one_that_started_them(in_two, source, tmp_path, number):
    folder = source.path.parent / f"ended-{number.name}"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "shared"), str(ROOT)])}
    command = [sys.executable, str(ROOT / "tests/engine/several.py"), str(folder), "2"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: seen_iterations(folder) >= 3)
        workers = psutil.Process(process.pid).children(recursive=True)
        assert len(workers) >= 2
        process.send_signal(number)
        _, errors = process.communicate()
    assert "[rank" not in errors  # torch's mark of a traceback in a process
    gone, alive = psutil.wait_procs(workers, timeout=10)
    assert gone
    assert not alive
    assert process.returncode in ({1, -number} if number == signal.SIGINT else {-number})
    left = list(Path(tempfile.gettempdir()).glob(f"sightline-processes-{process.pid}-*"))
    assert len(left) == (number == signal.SIGKILL)
    for path in left:
        assert is_left_behind(path.name)
        shutil.rmtree(path)
    run(make_job(folder, source, **EXACT), 2)
    require_equal_weights(folder, in_two)


def seen_iterations(folder):
    path = folder / "rank-0.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


def wait_until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_several_nodes_need_kubeflow(source, tmp_path):
    with raises(ConfigurationError, "train.nodes is 2", "Kubeflow"):
        run(make_job(tmp_path, source, nodes=2), 1)


def test_the_process_that_failed_is_reported_and_not_those_that_lost_it(tmp_path):
    Failure(0, "DistBackendError", "connection closed", follows=True).write(tmp_path)
    Failure(2, "RuntimeError", "DataLoader worker exited").write(tmp_path)
    first = read_failures(tmp_path)[0]
    assert first.rank == 2
    with raises(StepError, "rank 2 of 3", "DataLoader worker exited"):
        raise first.error(3)
