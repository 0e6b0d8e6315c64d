"""Labels of whole images: from names in any annotation format to the classes of ``data.label_sets``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from sightline.config.data import Data
from sightline.config.labels import class_name
from sightline.data.annotations import Fault
from sightline.data.formats.labels import LabelMap, cleaned, difference, respelling_remedy


class LabelSetReader:
    """Reads the labels of images.

    Args:
        data: Label sets, aliases and ignored labels.
    """

    def __init__(self, data: Data) -> None:
        self._sets, self._classes = data.label_sets, data.classes
        self._labels = LabelMap(data, classes_known=True)

    def from_names(self, names: Sequence[str], file: str, entry: str = "") -> tuple[tuple[str, ...], list[Fault]]:
        """The classes that a list of names means, such as the flags of a labelme file.

        Names that are not classes are left out, because flags also say other things.

        Args:
            names: Each is ``set/class``, or the name of a class that only one label set has.
            file: Name of the file in faults.
            entry: Place in the file.

        Returns:
            The classes, as in ``data.classes`` and in their order, and the faults: label sets without or with several
            labels.
        """
        by_set: dict[str, list[str]] = {name: [] for name in self._sets}
        for name in names:
            target = self._labels.target(cleaned(name))
            everything = [(label_set, one) for label_set, labels in self._sets.items() for one in labels.classes]
            meant = [(label_set, one) for label_set, one in everything if target == f"{label_set}/{one}"]
            meant = meant or [(label_set, one) for label_set, one in everything if target == one]
            if len(meant) == 1:
                by_set[meant[0][0]].append(meant[0][1])
        return self._complete(by_set, file, entry, found=names)

    def from_columns(
        self, values: Mapping[str, Sequence[str]], file: str, entry: str = ""
    ) -> tuple[tuple[str, ...], list[Fault]]:
        """The classes of values that are known to belong to label sets, such as those of the columns of a CSV file.

        Args:
            values: Label set -> names; empty names are missing ones.
            file: Name of the file in faults.
            entry: Place in the file.

        Returns:
            The classes, and the faults: unknown names, label sets without or with several labels.
        """
        by_set: dict[str, list[str]] = {}
        faults: list[Fault] = []
        for label_set, labels in self._sets.items():
            given = [name for name in map(cleaned, values.get(label_set, ())) if name]
            targets = {name: self._target(label_set, name) for name in given}
            by_set[label_set] = [one for one in labels.classes if one in targets.values()]
            unknown = [
                name
                for name, one in targets.items()
                if one not in labels.classes and not self._labels.is_ignored(self._labels.target(name))
            ]
            faults += [self._unknown(label_set, name, file, entry) for name in unknown]
            if unknown and not by_set[label_set]:
                by_set[label_set] = [""]  # reported as unknown, so it is not missing as well
        classes, more = self._complete(by_set, file, entry)
        return classes, faults + more

    def _target(self, label_set: str, name: str) -> str:
        classes = self._sets[label_set].classes
        if name in classes:
            return name
        target = self._labels.target(name)
        return next((one for one in classes if class_name(label_set, one, self._sets) == target), target)

    def _complete(
        self, by_set: Mapping[str, Sequence[str]], file: str, entry: str, found: Sequence[str] = ()
    ) -> tuple[tuple[str, ...], list[Fault]]:
        faults = []
        for label_set, names in by_set.items():
            multiple, chosen = self._sets[label_set].multiple, sorted(set(names))
            if not chosen and not multiple:
                faults.append(self._missing(label_set, found, file, entry))
            elif len(chosen) > 1 and not multiple:
                reason = f"several labels of the label set {label_set}: {', '.join(chosen)}"
                remedy = f"keep one of them, or set data.label_sets.{label_set}.multiple=true"
                faults.append(Fault("several_labels", file, None, None, reason, remedy, entry))
        wanted = {class_name(name, one, self._sets) for name, names in by_set.items() for one in names if one}
        return tuple(name for name in self._classes if name in wanted), faults

    def _missing(self, label_set: str, found: Sequence[str], file: str, entry: str) -> Fault:
        classes = ", ".join(self._sets[label_set].classes)
        given = f"; it has {', '.join(found)}" if found else ""
        reason = f"no label of the label set {label_set}: expected one of {classes}{given}"
        remedy = "label the image, or let record leave it out (data.faults.missing_label=drop)"
        return Fault("missing_label", file, None, None, reason, remedy, entry)

    def _unknown(self, label_set: str, name: str, file: str, entry: str) -> Fault:
        classes = self._sets[label_set].classes
        for known in classes:
            if ways := difference(name, known):
                reason = f"the label differs from class {known!r} of the label set {label_set} by {ways}"
                return Fault("unknown_label", file, None, name, reason, respelling_remedy(known), entry)
        near = difflib.get_close_matches(name, classes, n=1, cutoff=0.6)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        reason = f"the label is not a class of the label set {label_set}{meant}; expected one of {', '.join(classes)}"
        remedy = "correct it, or add it to the classes, data.ignored_labels or data.aliases"
        return Fault("unknown_label", file, None, name, reason, remedy, entry)
