"""Snapshots of the code: created from the package, published to a volume or bucket, and installed in pods.

A snapshot is immutable and named by its contents.  On a volume it is a folder, as described in
:mod:`sightline_bootstrap`; in a bucket it is one object, ``code/snapshots/<revision>.json``, next to the pointer
``code/CURRENT.json``.  If the result bucket has a pointer, ``code_rev=current`` refers to its snapshot; otherwise to
CURRENT of the volume.
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
