"""The images given by files, folders and patterns, and their names in the output folder."""

from __future__ import annotations

import glob
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from sightline.data.images import IMAGE_SUFFIXES
from sightline.data.output_folder import OutputFolder
from sightline.errors import DataError

_JUNK_FOLDERS = {"__MACOSX", "System Volume Information", "$RECYCLE.BIN"}


_UNNAMED = PurePosixPath()


@dataclass(frozen=True, slots=True)
class InputImage:
    """An image to predict on.

    Attributes:
        path: Path of the file.
        relative: Path relative to the given folder, pattern or file; mirrored in the output folder.
        drawing: Path of the drawn image, relative to the output folder.
        document: Path of the JSON file, relative to the output folder.
    """

    path: Path
    relative: PurePosixPath
    drawing: PurePosixPath = _UNNAMED
    document: PurePosixPath = _UNNAMED


def output_folder(path: Path, *, strict: bool = True) -> OutputFolder:
    """The output folder of predictions at ``path``; see :class:`OutputFolder`."""
    return OutputFolder(path, "predictions", "predict", "--out", strict=strict)


def find_images(named: Sequence[str], out: OutputFolder) -> list[InputImage]:
    """The images given on a command line, each once, in the order given.

    A file is used regardless of its name.  A folder gives all images below it, sorted by name, without hidden files and
    folders and without those that operating systems create.  Patterns are expanded here, because not every shell does.
    Output of earlier calls in this or other output folders is skipped when a folder is given.

    Args:
        named: Paths of files and folders, and patterns such as ``photos/**/*.jpg``.
        out: The output folder.

    Raises:
        DataError: A path or pattern matches nothing, a folder has no images, or an image is in the output folder.
    """
    groups = [_named(name, out) for name in named]
    once: dict[str, tuple[int, InputImage]] = {}
    for index, images in enumerate(groups):
        for image in images:
            once.setdefault(os.path.realpath(image.path), (index, image))
    return _with_outputs(_apart(list(once.values())), out.manifest)


def _named(name: str, out: OutputFolder) -> list[InputImage]:
    path = Path(name).expanduser()
    if path.is_dir():
        images = _below(path, path, out)
        if not images:
            endings = ", ".join(sorted(IMAGE_SUFFIXES))
            raise DataError(f"{name}: the folder has no images (files that end in {endings}); give another folder")
        return images
    if os.path.lexists(path):
        if not path.is_file():
            raise DataError(f"{name}: a broken link or a device; expected an image file or a folder")
        return [InputImage(path, PurePosixPath(path.name))]
    if not glob.has_magic(name):
        raise DataError(f"{name}: no such file or folder; give an image, a folder, or a pattern in quotes")
    return _matching(path, name, out)


def _matching(pattern: Path, name: str, out: OutputFolder) -> list[InputImage]:
    """Images that match a pattern; the output folder mirrors their paths from its first part with a wildcard on."""
    fixed = 0
    while fixed < len(pattern.parts) and not glob.has_magic(pattern.parts[fixed]):
        fixed += 1
    root = Path(*pattern.parts[:fixed])
    images: list[InputImage] = []
    for match in sorted(glob.glob(str(pattern), recursive=True)):  # noqa: PTH207  (Path.glob rejects absolute patterns)
        path = Path(match)
        if path.is_dir() and not str(pattern).endswith("**"):
            images += _below(path, root, out)
        elif _is_image(path.name) and path.is_file() and not out.wrote(path):
            images.append(_listed(path, root, out))
    if not images:
        raise DataError(f"{name}: no images match this pattern; give a folder, or another pattern")
    return images


def _below(folder: Path, root: Path, out: OutputFolder) -> list[InputImage]:
    """The images below a folder; symbolic links to folders are followed, but no folder is visited twice."""
    images: list[InputImage] = []
    entered = {os.path.realpath(folder)}
    written = [out]
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=_refuse):
        kept = []
        for name in sorted(folders):
            real = os.path.realpath(os.path.join(parent, name))  # noqa: PTH118  (faster than Path for a million names)
            if not _is_hidden(name) and name not in _JUNK_FOLDERS and real not in entered:
                entered.add(real)
                kept.append(name)
        folders[:] = kept
        if out.manifest in names and not out.holds(Path(parent)):
            written.append(output_folder(Path(parent), strict=False))
        paths = [Path(parent, name) for name in sorted(names) if _is_image(name)]
        images += [
            _listed(path, root, out)
            for path in paths
            if path.is_file() and not any(folder.wrote(path) for folder in written)
        ]
    return images


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot read the folder ({error.strerror}); check its permissions") from error


def _listed(path: Path, root: Path, out: OutputFolder) -> InputImage:
    if out.holds(path):
        raise DataError(
            f"{path} is in the output folder {out.path}, but predict did not write it, or it has changed since; give "
            "another folder with --out, or move the image"
        )
    return InputImage(path, PurePosixPath(path.relative_to(root).as_posix()))


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _is_image(name: str) -> bool:
    return not _is_hidden(name) and Path(name).suffix.lower() in IMAGE_SUFFIXES


def _apart(images: Sequence[tuple[int, InputImage]]) -> list[InputImage]:
    """Avoid name clashes of images from several folders by mirroring their paths from the common parent folder."""
    owner: dict[str, int] = {}
    if all(owner.setdefault(_key(image.relative), index) == index for index, image in images):
        return [image for _, image in images]
    absolute = [Path(os.path.abspath(image.path)) for _, image in images]  # noqa: PTH100  (keeps symbolic links)
    common = Path(os.path.commonpath([path.parent for path in absolute]))
    return [
        replace(image, relative=PurePosixPath(path.relative_to(common).as_posix()))
        for (_, image), path in zip(images, absolute, strict=True)
    ]


def _with_outputs(images: Iterable[InputImage], manifest: str) -> list[InputImage]:
    """Name the output files: ``<stem>.png`` and ``<stem>.json``, or with the full file name if two share a stem."""
    everything = list(images)
    stems = Counter(_key(image.relative.with_suffix("")) for image in everything)
    taken = {_key(PurePosixPath(manifest))}
    named = []
    # Images with a unique stem come first, so that they get the plain name.
    for image in sorted(everything, key=lambda image: stems[_key(image.relative.with_suffix(""))] > 1):
        alone = stems[_key(image.relative.with_suffix(""))] == 1
        base = image.relative.stem if alone else image.relative.name
        number = 1
        while True:
            drawing = image.relative.with_name(f"{base}.png")
            document = image.relative.with_name(f"{base}.json")
            if not taken & {_key(drawing), _key(document)}:
                break
            number += 1
            base = f"{image.relative.name}-{number}"
        taken |= {_key(drawing), _key(document)}
        named.append(replace(image, drawing=drawing, document=document))
    order = {image.path: index for index, image in enumerate(everything)}
    return sorted(named, key=lambda image: order[image.path])


def _key(path: PurePosixPath) -> str:
    """A key that is equal for names that some file systems treat as equal: by case or Unicode normalization."""
    return unicodedata.normalize("NFC", str(path)).casefold()
