"""Reads CSV files with one image a line: its path, its classes, and optionally its group and its split."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sightline.config.data import Data
from sightline.config.labels import SINGLE_SET, LabelSet
from sightline.data.annotations import Annotations, Fault, SplitName
from sightline.data.folder_files import FolderFiles, list_files, suffix_of
from sightline.data.formats.image_index import ImageIndex, Place
from sightline.data.formats.image_reader import AnnotatedImage, ImageReader
from sightline.data.formats.joining import Found, join_readings
from sightline.data.formats.parallel import read_all
from sightline.data.formats.split_names import split_in, split_named
from sightline.data.formats.table import SUFFIXES, Row, Table, read_table
from sightline.errors import DataError

PATH_COLUMNS = ("path", "file", "filename", "file_name", "image", "image_path", "image_name", "filepath", "file_path")
"""Names, in lower case, of the column with the path if ``data.columns.path`` is the default."""

CLASS_COLUMNS = (SINGLE_SET, "label", "category", "target")
"""Names, in lower case, of the column of a single label set."""

SPLIT_COLUMNS = ("split", "usage", "subset")
GROUP_COLUMNS = ("group", "person", "person_id", "subject", "subject_id", "patient", "patient_id", "identity", "lot")
"""Names, in lower case, of columns that are no label sets."""

MAX_FOUND_CLASSES = 50
"""A column with more different values is not taken for a label set if none are configured."""

_DEFAULT_PATH = "path"
_SEPARATORS = re.compile(r"[|;,]")


def read_folder(root: Path, data: Data, *, classes_known: bool = True) -> Annotations:
    """Read the CSV files at the top of a folder, or those below it if there are none, with their images.

    Args:
        root: The folder; no file outside is opened.
        data: Label sets, columns, fault policies, limits.
        classes_known: Whether labels are checked against ``data.label_sets``; if not, every column with few values is
            a label set.

    Raises:
        DataError: The folder has no CSV file, or the task needs objects.
    """
    files = list_files(root)
    names = table_files(files)
    if not names:
        raise DataError(f"{root} has no CSV file; write one line for each image: its path and its classes")
    if classes_known and not data.label_sets:
        raise DataError(
            f"{root}: a CSV file has classes of whole images, but the task needs objects; use a recipe for "
            "classification"
        )
    index = ImageIndex(files)
    everything = [read_table(root, name) for name in names]
    # Another table beside that of the images, such as a list of new names, is not read.
    tables = [one for one in everything if not one.columns or path_column(one.columns, data)] or everything
    items: list[AnnotatedImage] = []
    faults: list[Fault] = []
    unused: dict[str, int] = {}
    for table in tables:
        reader = _TableReader(table, data, index, classes_known=classes_known)
        items += reader.items()
        faults += reader.faults
        unused |= reader.unused
    readings = read_all(
        ImageReader(root, data, classes_known=classes_known).read, items, root, data.jobs, unit="images"
    )
    unlabelled = len(set(index.images) - {item.image for item in items})
    found = Found("csv", len(tables), unlabelled, tuple(faults), unused_columns=unused, table=tables[0].file)
    return join_readings(readings, found, data, classes_known=classes_known)


def table_files(files: FolderFiles) -> list[str]:
    """The CSV files at the top of a folder; all below it if there are none."""
    tables = [name for name in files.files if suffix_of(name) in SUFFIXES]
    return [name for name in tables if "/" not in name] or tables


def path_column(columns: Sequence[str], data: Data) -> str:
    """The column with the path of the image; empty if there is none."""
    if data.columns.path in columns or data.columns.path != _DEFAULT_PATH:
        return data.columns.path if data.columns.path in columns else ""
    return _named(columns, PATH_COLUMNS)


def _named(columns: Iterable[str], names: Sequence[str]) -> str:
    lower = {column.lower(): column for column in columns}
    return next((lower[name] for name in names if name in lower), "")


class _TableReader:
    """Converts the rows of one table.

    Args:
        table: The table.
        data: Label sets and columns.
        index: The images of the folder.
        classes_known: Whether the label sets are configured.
    """

    def __init__(self, table: Table, data: Data, index: ImageIndex, *, classes_known: bool) -> None:
        self._table, self._data, self._index = table, data, index
        self._split = split_in(Path(table.file).stem)
        self.faults: list[Fault] = list(table.faults)
        self.unused: dict[str, int] = {}
        self._path = path_column(table.columns, data)
        if not table.columns:
            return
        if not self._path:
            self._missing(data.columns.path, "the path of the image", "data.columns.path")
        for column, what, setting in (
            (data.columns.group, "the group of the image", "data.columns.group"),
            (data.columns.split, "the split of the image", "data.columns.split"),
        ):
            if column and column not in table.columns:
                self._missing(column, what, setting)
        self._columns = self._label_columns() if classes_known else self._found_columns()

    def items(self) -> list[AnnotatedImage]:
        """The images of all rows; empty if a column is missing."""
        if not self._table.columns or len(self.faults) > len(self._table.faults):
            return []
        found = [self._item(row, Place(self._table.file, f"line {row.line}")) for row in self._table.rows]
        return [item for item in found if item is not None]

    def _item(self, row: Row, place: Place) -> AnnotatedImage | None:
        written = row.cells[self._path]
        if not written:
            self.faults.append(place.fault("broken_row", "the path is empty", "write the path of the image"))
            return None
        split, fault = self._split_of(row, place)
        if fault is not None:
            self.faults.append(fault)
            return None
        image, fault = self._index.find(written, place)
        group = row.cells[self._data.columns.group] if self._data.columns.group else ""
        labels = {name: self._values(name, row.cells[column]) for name, column in self._columns.items()}
        faults = [] if fault is None else [fault]
        if not self._data.label_sets:
            faults += [self._empty(self._columns[name], place) for name, values in labels.items() if not values]
        return AnnotatedImage(place, image, labels=labels, group=group, split=split, faults=tuple(faults))

    def _empty(self, column: str, place: Place) -> Fault:
        remedy = "label the image, or let record leave it out (data.faults.missing_label=drop)"
        return place.fault("missing_label", f"no label in the column {column}", remedy)

    def _split_of(self, row: Row, place: Place) -> tuple[SplitName | None, Fault | None]:
        written = row.cells[self._data.columns.split] if self._data.columns.split else ""
        if not written:
            return self._split, None
        split = split_named(written)
        if split is not None:
            return split, None
        near = difflib.get_close_matches(written.lower(), ("train", "val", "test"), n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        reason = f"the split is {written!r}, expected train, val or test{meant}"
        return None, place.fault("broken_row", reason, "correct it, or leave the cell empty")

    def _values(self, label_set: str, cell: str) -> tuple[str, ...]:
        """The classes in a cell; a label set with several classes separates them by ``|``, ``;`` or a comma."""
        known = self._data.label_sets.get(label_set)
        if known is None or not known.multiple or cell in known.classes:
            return (cell,) if cell else ()
        return tuple(name for part in _SEPARATORS.split(cell) if (name := part.strip()))

    def _label_columns(self) -> Mapping[str, str]:
        """Label set -> its column; missing columns are faults."""
        columns = {}
        for name, labels in self._data.label_sets.items():
            column = labels.column or name
            if column not in self._table.columns and not labels.column and len(self._data.label_sets) == 1:
                column = _named(self._table.columns, (name, *CLASS_COLUMNS)) or self._only_column(labels) or column
            if column not in self._table.columns:
                self._missing(column, f"the label set {name}", f"data.label_sets.{name}.column")
            columns[name] = column
        return columns

    def _only_column(self, labels: LabelSet) -> str:
        """The only column that looks like a label set, if it has any of the classes; otherwise empty."""
        found = list(self._found_columns().values())
        self.unused = {}  # which is only told where label sets are found, not configured
        known = len(found) == 1 and any(row.cells[found[0]] in labels.classes for row in self._table.rows)
        return found[0] if known else ""

    def _found_columns(self) -> Mapping[str, str]:
        """The columns that look like label sets; the only one is a single label set."""
        settings = self._data.columns
        others = {self._path, settings.group, settings.split}
        labels = []
        for column in self._table.columns:
            if column in others:
                continue
            values = {row.cells[column] for row in self._table.rows} - {""}
            named = column.lower() in (*SPLIT_COLUMNS, *GROUP_COLUMNS)
            if named or len(values) > min(MAX_FOUND_CLASSES, max(2, len(self._table.rows) // 2)):
                self.unused[column] = len(values)
            else:
                labels.append(column)
        return {SINGLE_SET: labels[0]} if len(labels) == 1 else {column: column for column in labels}

    def _missing(self, column: str, what: str, setting: str) -> None:
        near = difflib.get_close_matches(column, self._table.columns, n=1, cutoff=0.6)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        reason = f"no column {column!r} with {what}{meant}; the columns are {', '.join(self._table.columns)}"
        place = Place(self._table.file, "line 1")
        self.faults.append(place.fault("broken_row", reason, f"add it, or name another with --set {setting}=..."))
