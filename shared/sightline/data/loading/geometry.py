"""Geometry of training images: one matrix moves pixels, boxes, outlines and keypoints.

A matrix is float64 [3, 3] and maps homogeneous coordinates ``(x, y, 1)`` in pixels, where the center of the first pixel
is at (0.5, 0.5).  Matrices are multiplied, and the image is resampled once, at the end.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from sightline.data.formats.coco import RunLengthEncoding, Segmentation
from sightline.data.loading.transforms import PADDING_COLOUR
from sightline.data.rasterizer import encode_mask, rasterize

Matrix = npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]


def shift(x: float, y: float) -> Matrix:
    """Moves by ``x`` and ``y`` pixels."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def scaling(x: float, y: float) -> Matrix:
    """Multiplies coordinates by ``x`` and ``y``; a negative factor mirrors."""
    return np.diag([x, y, 1.0])


def rotation(degrees: float) -> Matrix:
    """Rotates around the origin, clockwise on the screen."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def homography(before: Points, after: Points) -> Matrix:
    """The matrix that moves four points [4, 2] to four others (Hartley and Zisserman, 2004, section 4.1).

    Example:
        >>> square = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])
        >>> bool(np.allclose(homography(square, 3 * square + 1), shift(1, 1) @ scaling(3, 3)))
        True
    """
    rows = []
    for (x, y), (u, v) in zip(before, after, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    solved = np.linalg.solve(np.array(rows), np.asarray(after, dtype=np.float64).ravel())
    return np.append(solved, 1.0).reshape(3, 3)


def is_upright(matrix: Matrix) -> bool:
    """Whether a matrix only scales, mirrors and shifts, so that boxes stay boxes."""
    return bool(matrix[0, 1] == matrix[1, 0] == matrix[2, 0] == matrix[2, 1] == 0.0)


def move_points(matrix: Matrix, points: Points) -> Points:
    """Points [..., 2] moved by a matrix."""
    moved: Points = points @ matrix[:2, :2].T + matrix[:2, 2]
    if matrix[2, 0] or matrix[2, 1]:
        moved = moved / (points @ matrix[2, :2] + matrix[2, 2])[..., None]
    return moved


def move_boxes(matrix: Matrix, boxes_xyxy: Points) -> Points:
    """The extents of moved boxes, float64 [N, 4]."""
    corners = boxes_xyxy[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    moved = move_points(matrix, corners)
    return np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1)


def move_outline(matrix: Matrix, outline: Segmentation, width: int, height: int) -> Segmentation:
    """An outline on a canvas of ``width`` x ``height`` pixels.

    Polygons stay floats and may extend beyond the canvas; a run-length encoding is resampled (nearest pixel).
    """
    if not isinstance(outline, dict):
        polygons = [np.asarray(polygon, dtype=np.float64).reshape(-1, 2) for polygon in outline]
        return [move_points(matrix, polygon).ravel().tolist() for polygon in polygons]
    return _move_encoding(matrix, outline, width, height)


def _move_encoding(matrix: Matrix, encoding: RunLengthEncoding, width: int, height: int) -> RunLengthEncoding:
    rows, columns = encoding["size"]
    if (rows, columns) == (height, width) and np.array_equal(matrix, np.eye(3)):
        return encoding
    mask = Image.fromarray(rasterize(encoding, rows, columns))
    return encode_mask(np.asarray(_resample(mask, matrix, width, height)))


def clip_polygon(polygon: Points, width: float, height: float) -> Points:
    """The part of a polygon [N, 2] on the canvas (Sutherland and Hodgman, 1974); [0, 2] if there is none.

    Parts of a concave polygon stay connected by edges along the border, which cover no pixel.
    """
    for axis, bound, sign in ((0, 0.0, 1.0), (0, width, -1.0), (1, 0.0, 1.0), (1, height, -1.0)):
        depth = sign * (polygon[:, axis] - bound)
        if len(polygon) == 0 or (depth >= 0).all():
            continue
        following, next_depth = np.roll(polygon, -1, axis=0), np.roll(depth, -1)
        crosses = (depth >= 0) != (next_depth >= 0)
        share = np.divide(depth, depth - next_depth, out=np.zeros_like(depth), where=crosses)
        crossing = polygon + share[:, None] * (following - polygon)
        crossing[:, axis] = np.where(crosses, bound, crossing[:, axis])
        both = np.stack([polygon, crossing], axis=1).reshape(-1, 2)
        polygon = both[np.stack([depth >= 0, crosses], axis=1).ravel()]
    return polygon


def warp_image(image: Image.Image, matrix: Matrix, width: int, height: int) -> Image.Image:
    """An image on a canvas of ``width`` x ``height`` pixels; the rest is filled with the color of the padding."""
    if np.array_equal(matrix, np.eye(3)) and image.size == (width, height):
        return image
    if is_upright(matrix):
        return _place(image, matrix, width, height)
    reduction = int(1 / max(magnification(matrix, image.width / 2, image.height / 2), 1e-3))
    if reduction > 1:  # a general warp would skip pixels
        image, matrix = image.reduce(reduction), matrix @ scaling(reduction, reduction)
    return _resample(image, matrix, width, height)


def _place(image: Image.Image, matrix: Matrix, width: int, height: int) -> Image.Image:
    """Mirror, resize and paste: faster than a general warp, and averages all pixels of an image that gets smaller."""
    if matrix[0, 0] < 0:
        image, matrix = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), matrix @ _mirror(image.width, 0)
    if matrix[1, 1] < 0:
        image, matrix = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM), matrix @ _mirror(0, image.height)
    (scale_x, _, left), (_, scale_y, top), _ = matrix.tolist()
    edges = left, top, left + scale_x * image.width, top + scale_y * image.height
    # The whole pixels of the canvas that the image covers, up to rounding errors of the matrix.
    first = [max(0, int(np.ceil(edge - 1e-6))) for edge in edges[:2]]
    stop = [min(size, int(np.floor(edge + 1e-6))) for edge, size in zip(edges[2:], (width, height), strict=True)]
    if stop[0] <= first[0] or stop[1] <= first[1]:
        return Image.new("RGB", (width, height), PADDING_COLOUR)
    box = (
        max(0.0, (first[0] - left) / scale_x),
        max(0.0, (first[1] - top) / scale_y),
        min(float(image.width), (stop[0] - left) / scale_x),
        min(float(image.height), (stop[1] - top) / scale_y),
    )
    size = stop[0] - first[0], stop[1] - first[1]
    if box == (0.0, 0.0, *image.size) and size == image.size:
        placed = image
    elif scale_x == scale_y == 1.0 and all(edge.is_integer() for edge in box):
        placed = image.crop(box)
    else:
        placed = image.resize(size, Image.Resampling.BILINEAR, box=box)
    if size == (width, height):
        return placed
    canvas = Image.new("RGB", (width, height), PADDING_COLOUR)
    canvas.paste(placed, (first[0], first[1]))
    return canvas


def _mirror(width: float, height: float) -> Matrix:
    """Mirrors an axis with a length above 0 within its image."""
    return shift(width, height) @ scaling(-1 if width else 1, -1 if height else 1)


def magnification(matrix: Matrix, x: float, y: float) -> float:
    """By how much a matrix enlarges lengths near a point, on average over directions."""
    near = np.array([[x, y], [x + 1.0, y], [x, y + 1.0]])
    moved = move_points(matrix, near)
    (a, b), (c, d) = moved[1] - moved[0], moved[2] - moved[0]
    return float(np.sqrt(abs(a * d - b * c)))


def _resample(image: Image.Image, matrix: Matrix, width: int, height: int) -> Image.Image:
    """A general warp; a mask is not interpolated, and outside it there is nothing."""
    method, fill = (Image.Resampling.BILINEAR, PADDING_COLOUR) if image.mode == "RGB" else (Image.Resampling.NEAREST, 0)
    inverse = np.linalg.inv(matrix)
    inverse = (inverse / inverse[2, 2]).ravel().tolist()
    if inverse[6] == inverse[7] == 0.0:
        return image.transform((width, height), Image.Transform.AFFINE, inverse[:6], method, fillcolor=fill)
    return image.transform((width, height), Image.Transform.PERSPECTIVE, inverse[:8], method, fillcolor=fill)
