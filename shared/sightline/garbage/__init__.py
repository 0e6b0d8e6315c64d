"""Garbage collection: finds and removes files that no published version, model or champion needs.

What stays, whatever its age:

- every finished result of a step (a folder ``results/<step>/<tag>/<key>`` with its ``result.json``), and every file
  that it names;
- every object that a finished result, a champion pointer (present and previous champion), a ``CURRENT.json`` or a row
  of the database names by its URI, and the folder of every model that a row of promotions names;
- what is not laid out as Sightline lays things out: it is counted, never touched;
- a training that was not finished: its checkpoint is the only copy of that work;
- a run that made a model or a champion, one that still says "running", and one that this database does not know;
- a checkout that somebody uses, one of another data repository, and one whose tag is gone from the data repository
  while the database knows it, for it may be the only copy;
- a snapshot of the code, in the bucket or on the code volume (``$SIGHTLINE_CODE``), that is the current one there, or
  that a run or a model of the database was made with;
- objects of the DVC cache that a tag of the data repository, a version in the database or a checkout names.

What goes, when nobody wrote to it or used it for the safety age:

- objects of a publication whose ``result.json`` never came, or that ``result.json`` does not name any more; models that
  were uploaded for a decision that was made anew;
- work folders of finished trainings, of evaluations and of tests; runs that made nothing; checkouts that are made again
  when needed; objects of the DVC cache that nothing names; other snapshots of the code; what killed processes left
  half-made.

Ages are those of the storage and the volume by their own clocks, and what lies in the future counts as young.  A run
may go on meanwhile: objects are deleted by the generation that was judged, and whoever builds on an old object renews
it (:data:`sightline.storage.base.FRESH_SECONDS`); folders are removed under the lock that their users hold, and renamed
away first, so that a kill leaves no half of one.
"""

from __future__ import annotations

from sightline.garbage.found import Garbage
from sightline.garbage.sweep import MIN_AGE, Sweep, sweep

__all__ = ["MIN_AGE", "Garbage", "Sweep", "sweep"]
