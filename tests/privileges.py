"""Root without its power over files, in one thread: what an ordinary user would meet, without another process."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

CAPABILITIES = (1, 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of linux/capability.h: to pass over permissions."""

_VERSION_3 = 0x20080522
_PR_CAPBSET_DROP = 24
_Result = TypeVar("_Result")


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def as_ordinary_user(function: Callable[[], _Result]) -> _Result:
    """Call it in a thread whom permissions stop, and the programs that it starts too (see capabilities(7))."""
    with ThreadPoolExecutor(1, initializer=_give_up if os.geteuid() == 0 else None) as thread:
        return thread.submit(function).result()


def _give_up() -> None:
    library = ctypes.CDLL(None, use_errno=True)
    header, sets = _Header(_VERSION_3, 0), (_Sets * 2)()
    _require(library.capget(ctypes.byref(header), sets))
    for number in CAPABILITIES:
        _require(library.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0))
        for name, _ in _Sets._fields_:
            setattr(sets[0], name, getattr(sets[0], name) & ~(1 << number))
    _require(library.capset(ctypes.byref(header), sets))


def _require(status: int) -> None:
    if status:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
