"""``sightline data diff --html``: the images of both versions, and the page."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.data.tags import DatasetTag

if TYPE_CHECKING:
    from sightline.data.repository.checkout import Checkout
    from sightline.data.tools.compare import ComparedImage

_ANY_CLASS = "\0"


def write_difference(path: Path, before: DatasetTag, after: DatasetTag, repository: str) -> int:
    """Check out two versions of the same kind and write the page of their differences.

    Returns:
        The number of images with a difference.

    Raises:
        DataError: ``path`` exists, or the annotations cannot be read.
        RepositoryError: A version cannot be checked out.
    """
    from sightline.config.decode import decode_places
    from sightline.data.repository.checkout import checked_out
    from sightline.data.tools.compare import compare_images
    from sightline.data.tools.new_folder import require_new
    from sightline.data.workspace import Workspace
    from sightline.report.pages.difference_page import write_difference_page

    require_new(path)
    workspace = Workspace.of(decode_places([f"data.repository={json.dumps(str(repository))}"]))
    with ExitStack() as stack:
        sides = [
            _images(stack.enter_context(checked_out(workspace, str(tag))), tag)
            for tag in dict.fromkeys((before, after))
        ]
        comparison = compare_images(sides[0], sides[-1])
        write_difference_page(path, str(before), str(after), comparison)
    changed = (comparison.added, comparison.removed, comparison.relabelled, comparison.replaced, comparison.moved)
    return len({id(one) for images in changed for one in images})


def _images(checkout: Checkout, tag: DatasetTag) -> list[ComparedImage]:
    from sightline.config.decode import decode
    from sightline.data.tools.compare import images_of_annotations, images_of_training_set
    from sightline.data.tools.reading import describe_dataset

    folder = checkout.path / tag.folder
    if tag.kind != "ann":
        return images_of_training_set(checkout.path, folder)
    data = decode("instance_segmentation", [f"data.classes={json.dumps([_ANY_CLASS])}"]).data
    annotations, _ = describe_dataset(folder, data, classes_known=False)
    return images_of_annotations(folder, annotations)
