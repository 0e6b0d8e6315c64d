import multiprocessing
import os
import signal

import pytest

from sightline.processes import signals_deferred


class Heard(Exception):  # noqa: N818
    """Raised by the signal handler of the tests."""


@pytest.fixture
def heard():
    """The signals that were handled; the handlers of SIGUSR1 and SIGUSR2 raise."""
    numbers = []

    def handle(number, frame):
        numbers.append(number)
        raise Heard

    before = {number: signal.signal(number, handle) for number in (signal.SIGUSR1, signal.SIGUSR2)}
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_is_handled_once_at_the_end(heard):
    before_the_end = []

    def receive_twice():
        with signals_deferred():
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGUSR2)
            before_the_end.append(list(heard))

    with pytest.raises(Heard):
        receive_twice()
    assert before_the_end == [[]]
    assert heard == [signal.SIGUSR2]
    with pytest.raises(Heard):
        os.kill(os.getpid(), signal.SIGUSR2)


def test_the_handler_of_each_signal_is_called(heard):
    def receive_both():
        with signals_deferred():
            os.kill(os.getpid(), signal.SIGUSR1)
            os.kill(os.getpid(), signal.SIGUSR2)

    with pytest.raises(Heard):
        receive_both()
    assert sorted(heard) == [signal.SIGUSR1, signal.SIGUSR2]


def test_a_new_process_handles_signals_at_once(heard):
    def signal_oneself():
        try:
            os.kill(os.getpid(), signal.SIGUSR2)
        except Heard:
            os._exit(7)

    with signals_deferred():
        process = multiprocessing.get_context("fork").Process(target=signal_oneself)
        process.start()
    process.join(60)
    assert process.exitcode == 7
    assert heard == []


def test_a_handler_that_is_installed_meanwhile_stays_and_may_call_the_one_before(heard):
    called = []

    def install():
        before = signal.getsignal(signal.SIGUSR2)

        def handle(number, frame):
            called.append(number)
            before(number, frame)

        signal.signal(signal.SIGUSR2, handle)

    with signals_deferred():
        install()
    with pytest.raises(Heard):
        os.kill(os.getpid(), signal.SIGUSR2)
    assert called == heard == [signal.SIGUSR2]
