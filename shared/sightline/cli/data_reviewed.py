"""What ``sightline data add`` makes of a folder with suggestions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sightline.config.settings import embedded_or_own
from sightline.data.tags import DatasetTag
from sightline.errors import DataError
from sightline.plural import counted

SHOWN_DECISIONS = 50


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A folder to add.

    Attributes:
        folder: The folder itself, or the dataset that results from the decisions in it.
        details: For the commit message.
        lines: For the user.
    """

    folder: Path
    details: str = ""
    lines: list[str] = field(default_factory=list)


@contextmanager
def reviewed(folder: Path, tag: DatasetTag, repository: Path) -> Iterator[Reviewed]:
    """The dataset that results from a folder; it exists as long as the context is open.

    Args:
        folder: The folder given by the user.
        tag: The new version.
        repository: The data repository.

    Raises:
        DataError: The suggestions in the folder cannot be read, or are for another dataset.
        UnknownTagError: The version that they are for no longer exists.
    """
    from sightline.data.repository.checkout import checked_out
    from sightline.data.suggestions.review import read_review, write_reviewed
    from sightline.data.workspace import Workspace
    from sightline.temporary_folder import temporary_folder

    review = read_review(folder)
    if review is None:
        yield Reviewed(folder)
        return
    base = DatasetTag.parse(review.base)
    if base.dataset != tag.dataset:
        raise DataError(
            f"{folder}: the suggestions are for {base}, so they cannot become a version of {tag.dataset}; give "
            f"--dataset {base.dataset}"
        )
    summary = review.summary
    lines = [f"suggestions of model {review.model[:12]} for {base}: {summary.text}"]
    named = [
        f"  {one.status}: {file}: {one.suggestion.label or one.suggestion.was} ({one.suggestion.text})"
        for file, one in review.decisions()
        if one.status != "open"
    ]
    lines += named[:SHOWN_DECISIONS]
    lines += [f"  and {len(named) - SHOWN_DECISIONS} more"] if len(named) > SHOWN_DECISIONS else []
    if review.undecided:
        lines.append(f"left out: {counted(len(review.undecided), 'new image')} without a decision")
    with temporary_folder("review") as temporary:
        result = Path(temporary) / folder.resolve().name
        result.mkdir()
        if review.whole:
            write_reviewed(review, None, result)
        else:
            workspace = Workspace(str(repository), Path(embedded_or_own("work", "dir")))
            with checked_out(workspace, str(base)) as checkout:
                write_reviewed(review, checkout.path / base.folder, result)
        try:
            yield Reviewed(result, summary.message, lines)
        except DataError as error:
            reason = str(error).replace(str(result), str(folder))
            raise DataError(f"the dataset that results from the decisions in {folder}: {reason}") from error
