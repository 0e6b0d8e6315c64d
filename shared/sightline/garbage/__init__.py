"""Garbage collection: finds and removes files that no published version, model or champion needs.

Kept regardless of age:

- every finished result of a step (a folder ``results/<step>/<tag>/<key>`` with its ``result.json``), and every file
  that it lists;
- every object that a finished result, a champion pointer (current and previous champion), a ``CURRENT.json`` or a row
  of the database refers to by its URI, and the folder of every model in a row of promotions;
- objects that do not have Sightline's layout: they are counted, never touched;
- unfinished trainings: the checkpoint is the only copy of that work;
- runs that produced a model or a champion, that are running, or that are not in this database;
- checkouts in use, checkouts of another data repository, and checkouts whose tag is gone from the data repository
  although the database contains it, because they may be the only copy;
- code snapshots, in the bucket or on the code volume (``$SIGHTLINE_CODE``), that are current there, or that a run or a
  model in the database was made with;
- objects of the DVC cache that a tag of the data repository, a version in the database or a checkout refers to.

Removed, if not written or used within the safety age:

- objects of a publication whose ``result.json`` was never written or no longer lists them; models that were uploaded
  for a superseded decision;
- work folders of finished trainings, evaluations and tests; runs that produced nothing; checkouts that can be created
  again; unreferenced objects of the DVC cache; other code snapshots; partial files of killed processes.

Ages are measured by the clocks of the storage and the volume, and times in the future count as recent.  Runs may
continue meanwhile: objects are deleted only if their generation has not changed, and processes that reuse an old object
renew it (:data:`sightline.storage.base.FRESH_SECONDS`); folders are removed under the lock that their users hold, and
renamed first, so that a kill never leaves a partial folder.
"""

from __future__ import annotations

from sightline.garbage.found import Garbage
from sightline.garbage.sweep import MIN_AGE, Sweep, sweep

__all__ = ["MIN_AGE", "Garbage", "Sweep", "sweep"]
