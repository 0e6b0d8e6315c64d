import logging
import multiprocessing
import os
import shutil
import signal
import threading

import numpy as np
import pytest
from PIL import Image

from sightline.data.images import UnreadableImageError
from sightline.data.loading.batches import batches
from sightline.data.loading.bottleneck import LoadingFacts, data_wait_advice
from sightline.data.loading.transport import packed
from sightline.data.loading.worker_failure import worker_failures_explained
from sightline.data.loading.workers import available_cpus, choose_workers
from sightline.errors import StepError
from sightline.runs.signals import TaskTerminated, ending_on_signals
from tests.data.loading.test_loader import same
from tests.golden import raises
from tests.squares import make_dataset

SMALL = {"batch_bytes": 1000, "cpus": 8}
GIGABYTE = 2**30


@pytest.mark.parametrize(
    ("cpus", "on_gpu", "processes", "workers"),
    [
        (1, True, 1, 1),  # even one CPU prepares the next batch while the GPU computes
        (4, True, 1, 3),
        (32, True, 1, 8),
        (32, True, 8, 3),  # four CPUs for each process
        (1, False, 1, 0),
        (16, False, 1, 1),  # the CPUs are needed for the network
        (16, False, 16, 0),
    ],
)
def test_workers_follow_from_the_cpus(cpus, on_gpu, processes, workers):
    chosen = choose_workers("auto", batch_bytes=1000, on_gpu=on_gpu, processes=processes, cpus=cpus)
    assert chosen == workers


def test_shared_memory_limits_the_workers(tmp_path, caplog):
    free = shutil.disk_usage(tmp_path).free
    caplog.set_level(logging.WARNING)
    options = {"on_gpu": True, "cpus": 8, "shared_memory": tmp_path}
    assert choose_workers("auto", batch_bytes=free // (2 * 3 * 4), **options) in {3, 4}
    assert str(tmp_path) in caplog.text
    assert choose_workers("auto", batch_bytes=free, **options) == 0
    assert choose_workers(5, batch_bytes=free, **options) == 5
    assert "train.workers=5" in caplog.text


def test_the_limit_of_a_container_counts(tmp_path):
    here = len(os.sched_getaffinity(0))
    assert available_cpus(tmp_path) == here
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert available_cpus(tmp_path) == min(here, 1)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert available_cpus(tmp_path) == here
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("50000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert available_cpus(tmp_path) == 1


def test_samples_arrive_as_they_were_packed(tmp_path):
    dataset = make_dataset(tmp_path)
    samples = [dataset.sample(index, 7, (64, 64)) for index in range(3)]
    package = packed(samples)
    assert package.pixels.is_shared()
    assert all(same(*pair) for pair in zip(package.unpacked(), samples, strict=True))


def test_an_error_of_a_worker_is_that_of_the_image(tmp_path):
    dataset = make_dataset(tmp_path)
    (tmp_path / "3.png").write_bytes(b"not an image")
    with pytest.raises(UnreadableImageError) as caught:
        list(batches(dataset, batch_size=5, seed=0, first=1, last=1, workers=1))
    assert "3.png" in caught.value.name
    assert multiprocessing.active_children() == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # raised in a destructor
def test_a_killed_worker_is_explained(tmp_path):
    plan = batches(make_dataset(tmp_path, augmentation=[]), batch_size=2, seed=0, first=1, last=10**6, workers=1)
    with pytest.raises(StepError, match=r"memory .*train\.workers"):
        kill_and_go_on(plan)


def kill_and_go_on(plan):
    """What the training loop does; torch may raise its error anywhere in it."""
    with worker_failures_explained():
        before = set(multiprocessing.active_children())
        next(plan)
        (worker,) = set(multiprocessing.active_children()) - before
        os.kill(worker.pid, signal.SIGKILL)
        for _ in plan:
            pass


class Signals:
    """Sends this process a signal in the next fork, once, before or after the new process is there."""

    def __init__(self):
        self._before = self._after = 0
        os.register_at_fork(before=self._send_before, after_in_parent=self._send_after)

    def send(self, number, *, before):
        self._before, self._after = (number, 0) if before else (0, number)

    def _send_before(self):
        number, self._before = self._before, 0
        if number:
            os.kill(os.getpid(), number)

    def _send_after(self):
        number, self._after = self._after, 0
        if number:
            os.kill(os.getpid(), number)


@pytest.fixture(scope="module")
def in_fork():
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # programs in the background are told to ignore it
    yield Signals()  # fork hooks cannot be removed
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(("number", "error"), [(signal.SIGTERM, TaskTerminated), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_while_workers_start_ends_the_training(tmp_path, in_fork, number, error, before):
    """Python ignores what a signal handler raises in the hooks of a fork, and leaves the lock of logging locked."""
    handlers = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    plan = batches(make_dataset(tmp_path), batch_size=2, seed=0, first=1, last=10**6, workers=2)
    with ending_on_signals():
        in_fork.send(number, before=before)
        with pytest.raises(error):
            next(plan)
    assert {one: signal.getsignal(one) for one in handlers} == handlers
    assert multiprocessing.active_children() == []
    thread = threading.Thread(target=logging.Handler, daemon=True)  # takes the lock of logging
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("DataLoader worker (pid 12) is killed by signal: Killed. ", "train.cache_ram_gb"),
        ("DataLoader worker (pid 12) is killed by signal: Bus error. It is possible ...", "/dev/shm"),
        ("DataLoader worker (pid(s) 12, 13) exited unexpectedly", "12, 13"),
    ],
)
def test_every_end_of_a_worker_says_what_to_do(text, shown):
    with raises(StepError, shown), worker_failures_explained():
        raise RuntimeError(text)


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match=r"^CUDA error$"), worker_failures_explained():
        raise RuntimeError("CUDA error")


@pytest.mark.parametrize(
    ("facts", "advice"),
    [
        (LoadingFacts(1, 8, GIGABYTE, GIGABYTE, 0), "train.workers=7"),
        (LoadingFacts(7, 8, 4 * GIGABYTE, GIGABYTE, 0), "train.cache_ram_gb=4.0"),
        (LoadingFacts(8, 64, 4 * GIGABYTE, GIGABYTE, 0), "25 %"),
        (LoadingFacts(7, 8, 4 * GIGABYTE, GIGABYTE, 5 * GIGABYTE), "train.augmentation"),
        (LoadingFacts(7, 8, GIGABYTE, GIGABYTE, 0), "train.augmentation"),
    ],
)
def test_the_advice_names_the_bottleneck(facts, advice):
    assert advice in data_wait_advice(0.5, facts)


def test_a_training_that_does_not_wait_gets_no_advice(tmp_path):
    facts = make_dataset(tmp_path).loading_facts(0)
    assert data_wait_advice(0.2, facts) == ""
    assert facts.image_bytes == 5 * 48 * 64 * 3


def test_a_large_jpeg_is_reduced_while_it_is_decoded(tmp_path):
    from sightline.data.images import read_image, read_reduced

    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    photograph = Image.fromarray(pixels).resize((1600, 1200), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph.save(tmp_path / "a.jpg", exif=exif)
    reduced, size = read_reduced(tmp_path / "a.jpg", 10**7, 400)
    assert size == (1200, 1600)
    assert reduced.size == (300, 400)
    whole = read_image(tmp_path / "a.jpg", 10**7).resize((300, 400), Image.Resampling.BOX)
    assert np.abs(np.asarray(reduced).astype(int) - np.asarray(whole)).mean() < 2
    assert read_reduced(tmp_path / "a.jpg", 10**7, 900)[0].size == (1200, 1600)
