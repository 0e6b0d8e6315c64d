"""An outbox delivers everything in order, whatever its receiver does, and never stops its sender."""

import logging
import threading

import pytest

from sightline.tracking import outbox
from sightline.tracking.outbox import Outbox


class Receiver:
    """Takes items; raises the errors it is given, one per call, before it takes any more."""

    def __init__(self, *errors):
        self.errors, self.items, self.open = list(errors), [], threading.Event()
        self.open.set()

    def __call__(self, items):
        self.open.wait(10)
        if self.errors:
            raise self.errors.pop(0)
        self.items += items


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_items_arrive_in_order(batch):
    receiver = Receiver()
    box = Outbox("x", receiver, batch=batch)
    for number in range(100):
        box.put(number)
    assert box.close(5) == []
    assert receiver.items == list(range(100))


def test_an_outage_is_told_once_and_its_end_too(caplog):
    caplog.set_level(logging.INFO, "sightline")
    arrived = threading.Event()
    errors = [ConnectionError("https://me:s3cret@host is down")] * 3

    def deliver(items):
        if errors:
            raise errors.pop()
        arrived.set()

    box = Outbox("x", deliver)
    box.put(1)
    assert arrived.wait(5)
    assert box.close(5) == []
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "https://***@host is down" in warnings(caplog)[0]


def test_what_is_refused_is_left_out(caplog):
    taken = []

    def deliver(items):
        if items[0] % 2:
            raise TypeError(f"odd: {items[0]}")
        taken.extend(items)

    box = Outbox("x", deliver)
    for number in range(6):
        box.put(number)
    assert box.close(5) == []
    assert taken == [0, 2, 4]
    assert box.has_refused
    assert len(warnings(caplog)) == 1
    assert "odd: 1" in warnings(caplog)[0]


def test_what_is_left_at_the_end_is_returned():
    box = Outbox("x", Receiver(*[OSError("down")] * 1000))
    for number in range(3):
        box.put(number)
    assert box.close(5) == [0, 1, 2]
    box.put(3)
    assert box.close(5) == [0, 1, 2]


def test_a_receiver_that_hangs_does_not_hold_the_end():
    receiver = Receiver()
    receiver.open.clear()
    box = Outbox("x", receiver)
    box.put(1)
    box.put(2)
    assert box.close(0.05) == [1, 2]
    receiver.open.set()


def test_a_receiver_that_works_gets_more_time():
    receiver = Receiver()
    receiver.open.clear()
    box = Outbox("x", receiver)
    box.put(1)
    threading.Timer(0.3, receiver.open.set).start()
    assert box.close(0.01, 10) == []


def test_memory_is_bounded_and_images_go_first(monkeypatch, caplog):
    monkeypatch.setattr(outbox, "MAX_BYTES", 1_000_000)
    receiver = Receiver()
    receiver.open.clear()
    box = Outbox("x", receiver)
    box.put("in delivery", 400_000)
    while not box._taken:
        pass
    for number in range(5):
        box.put(f"image {number}", 300_000)
        box.put(f"value {number}", 10)
    receiver.open.set()
    assert box.close(5) == []
    values = [f"value {number}" for number in range(4)]
    assert receiver.items == ["in delivery", *values, "image 4", "value 4"]
    assert len(warnings(caplog)) == 1
