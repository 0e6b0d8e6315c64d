"""Snapshots of the helper code: made from the package, published to a volume or bucket, and installed where pods run.

A snapshot is immutable and named by its contents.  On a volume it is a folder, as :mod:`sightline_bootstrap` says; in a
bucket it is one object, ``code/snapshots/<revision>.json``, beside the pointer ``code/CURRENT.json``.  Where the result
bucket has a pointer, ``code_rev=current`` means what it names; otherwise CURRENT of the volume counts.
"""

from __future__ import annotations

from sightline.code.bring import bring
from sightline.code.bucket import bring_from_bucket, publish_to_bucket
from sightline.code.snapshot import Manifest, Published, Snapshot, make_snapshot
from sightline.code.volume import publish_to_volume

__all__ = [
    "Manifest",
    "Published",
    "Snapshot",
    "bring",
    "bring_from_bucket",
    "make_snapshot",
    "publish_to_bucket",
    "publish_to_volume",
]
