"""A reader that looks at all times at what others write, and writes down what should never be seen."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_OBJECT = re.compile(r"[0-9a-f]{30}(\.dir)?")


class Watch:
    """What a reader has seen.

    Attributes:
        looks: How often it looked.
        files: How many files it compared.
        faults: What was wrong.
    """

    def __init__(self) -> None:
        self.looks = self.files = 0
        self.faults: list[str] = []


@contextmanager
def watching(look: Callable[[], Iterator[str]]) -> Iterator[Watch]:
    """Call ``look`` in a thread, again and again; it yields "" for what is right and a text for what is not."""
    watch, stop = Watch(), threading.Event()

    def loop() -> None:
        while not stop.is_set():
            try:
                for fault in look():
                    watch.files += 1
                    if fault:
                        watch.faults.append(fault)
            except FileNotFoundError:
                pass  # the test removes what it has seen enough of
            except Exception as error:  # noqa: BLE001  (shown by the test)
                watch.faults.append(f"{type(error).__name__}: {error}")
            watch.looks += 1
            stop.wait(0.005)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join()


def objects(cache: Path) -> Iterator[str]:
    """Look at the objects of a DVC cache that have their final name."""
    for path in cache.glob("files/md5/??/*"):
        if _OBJECT.fullmatch(path.name):
            found = md5_of(path)
            expected = path.parent.name + path.name.removesuffix(".dir")
            yield "" if found in {expected, None} else f"object {path} has MD5 {found}"


def checkouts(folder: Path, contents: dict[str, dict[str, str]]) -> Iterator[str]:
    """Look at finished checkouts: ``contents`` gives each dataset folder's files and their MD5."""
    for checkout in folder.glob("*"):
        if checkout.name.endswith(".part") or checkout.name.startswith("."):
            continue
        for below, wanted in contents.items():
            files = (path for path in (checkout / below).rglob("*") if path.is_file())
            found = {path.relative_to(checkout / below).as_posix(): md5_of(path) for path in files}
            if checkout.exists():
                yield "" if found == wanted else f"{checkout}/{below} holds {found}, expected {wanted}"


def md5_of(path: Path) -> str | None:
    """MD5 of a file, or None where it has gone meanwhile."""
    try:
        return hashlib.md5(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
