"""labelme files opened and saved as labelme does: with labelme itself where it is installed, or as it is documented.

labelme needs Qt, so it is not among the requirements of the tests; with ``pip install labelme``, its own reader and
writer are used.
"""

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
    reader = importlib.import_module("labelme._label_file")
    read = reader.read_label_file(str(path))
    # As labelme's window writes a shape: what it does not know first, then its own keys.
    shapes = [
        shape["other_data"] | {key: shape[key] for key in _KEYS if key != "mask" or shape[key] is not None}
        for shape in read.shapes
    ]
    document = dict(read.other_data) | {"imagePath": read.image_path, "imageData": None}
    stored = json.loads(path.read_text(encoding="utf-8"))
    return document | {key: stored[key] for key in ("imageData", "imageHeight", "imageWidth")}, shapes, read.flags


def save_file(path, document, shapes, flags):
    """Write a labelme file as labelme does."""
    for shape in shapes:
        if shape.get("mask") is not None and not isinstance(shape["mask"], str):
            utils = importlib.import_module("labelme.utils")
            shape["mask"] = utils.img_arr_to_b64(shape["mask"].astype("uint8"))
    known = ("version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth")
    other = {key: value for key, value in document.items() if key not in known}
    if not HAS_LABELME:
        written = {"version": "7.1.0", "flags": flags, "shapes": shapes}
        written |= {key: document[key] for key in known[3:]} | other
        path.write_text(json.dumps(written, ensure_ascii=False, indent=2), encoding="utf-8")
        return
    import base64

    data = document["imageData"]
    importlib.import_module("labelme._label_file").write_label_file(
        str(path),
        shapes=shapes,
        image_path=document["imagePath"],
        image_height=document["imageHeight"],
        image_width=document["imageWidth"],
        image_data=None if data is None else base64.b64decode(data),
        other_data=other,
        flags=flags,
    )
