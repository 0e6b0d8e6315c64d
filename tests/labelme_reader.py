"""labelme files opened and saved as labelme does: with labelme itself where it is installed, or as it is documented.

labelme needs Qt, so it is not among the requirements of the tests; with ``pip install 'labelme>=7.1'``, its own reader
and writer are used.
"""

import base64
import importlib
import json
import os
from importlib.util import find_spec

HAS_LABELME = find_spec("labelme") is not None
_KEYS = ("label", "points", "group_id", "description", "shape_type", "flags", "mask")


def open_file(path):
    """A labelme file as (document, shapes, flags): what a person sees and edits."""
    if not HAS_LABELME:
        document = json.loads(path.read_text(encoding="utf-8"))
        for shape in document["shapes"]:
            assert isinstance(shape["label"], str)
            assert shape["points"]
            assert shape["shape_type"]
            shape.setdefault("description", "")
        return document, document["shapes"], document["flags"]
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    read = importlib.import_module("labelme._label_file").read_label_file(str(path))
    shapes = [shape["other_data"] | {key: shape[key] for key in _KEYS} for shape in read.shapes]
    document = dict(read.other_data) | {"imagePath": read.image_path}
    stored = json.loads(path.read_text(encoding="utf-8"))
    return document | {key: stored[key] for key in ("imageData", "imageHeight", "imageWidth")}, shapes, read.flags


def save_file(path, document, shapes, flags):
    """Write a labelme file as labelme does."""
    known = ("version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth")
    other = {key: value for key, value in document.items() if key not in known}
    if not HAS_LABELME:
        written = {"version": "7.1.0", "flags": flags, "shapes": shapes}
        written |= {key: document[key] for key in known[3:]} | other
        path.write_text(json.dumps(written, ensure_ascii=False, indent=2), encoding="utf-8")
        return
    writer = importlib.import_module("labelme._label_file")
    kept = [
        {key: shape.get(key) for key in _KEYS}
        | {"other_data": {key: value for key, value in shape.items() if key not in _KEYS}}
        for shape in shapes
    ]
    data = document["imageData"]
    image = b"" if data is None else base64.b64decode(data)
    writer.write_label_file(
        str(path),
        writer.Annotation(document["imagePath"], image, kept, flags, other),
        image_height=document["imageHeight"],
        image_width=document["imageWidth"],
        save_image_data=data is not None,
    )
