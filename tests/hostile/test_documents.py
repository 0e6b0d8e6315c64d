"""Documents that a bucket or a data repository may hold in the place of Sightline's own, with the whole message."""

# ruff: noqa: E501  (a table: one row a fault, with its whole message)

import dataclasses
import json

import pytest

from sightline.data.dvc.objects import read_dvc_file
from sightline.data.formats.coco import decode_coco
from sightline.data.recording.training_set import TrainingSet, from_bytes, to_bytes
from sightline.errors import DataError, RepositoryError, StepError
from sightline.registry import store
from sightline.registry.champions import ChampionPointer, pointer_key, read_champion
from sightline.registry.results import Candidate, TrainResult
from sightline.storage import open_storage

POINTER = dataclasses.asdict(ChampionPointer("EIR", "ab", "file:///m", "plates_train_v1", 0.5, "", ""))
RESULT = dataclasses.asdict(TrainResult("plates_train_v1", "c0", [Candidate("best", "u", "s", 3, {"EIR": 0.5})], 3, "h", "l", 1.5))  # fmt: skip
DATASET = json.loads(to_bytes(TrainingSet("plates", "v1", "plates_ann_v1", "c0", "d", {}, ["0"], [], [], {s: {} for s in ("train", "val", "test")}, {s: {} for s in ("train", "val", "test")}, {}, 0, [])))  # fmt: skip


def changed(document, **fields):
    return json.dumps({**document, **fields}).encode()


# What lies in the place of champions/plates/EIR.json, what is said in the brackets.
POINTERS = {
    "nothing": (b"", "it is empty"),
    "a list": (b"[]", "it is not a JSON object"),
    "a key twice": (b'{"metric": "a", "metric": "b"}', "duplicate key 'metric'"),
    "a field too few": (json.dumps({**POINTER, "uri": None}).replace('"uri": null, ', "").encode(), "uri: Field required"),
    "a number for a URI": (changed(POINTER, uri=5), "uri: Input should be a valid string"),
    "a text for a value": (changed(POINTER, value="0.5"), "value: Input should be a valid number"),
    "NaN for a value": (changed(POINTER, value=float("nan")), "it contains NaN, which JSON does not allow"),
    "1e999 for a value": (changed(POINTER, value=0).replace(b'"value": 0', b'"value": 1e999'), "it contains a number that is too large"),
    "100,000 brackets": (b"[" * 100_000, "brackets are nested too deeply"),
}  # fmt: skip


@pytest.mark.parametrize("case", POINTERS)
def test_a_champion_pointer_is_read_strictly(case, tmp_path):
    content, message = POINTERS[case]
    storage = open_storage(str(tmp_path))
    storage.write_bytes(pointer_key("plates", "EIR"), content)
    with pytest.raises(StepError) as caught:
        read_champion(storage, "plates", "EIR")
    assert str(caught.value) == (
        f"{storage.uri}/champions/plates/EIR.json is not a champion pointer of this version of Sightline ({message}); "
        "remove it to start without a champion"
    )


# What the task before handed over, what is said in the brackets.
RESULTS = {
    "nothing": ("", "it is empty"),
    "no JSON": ("None", "not valid JSON: Expecting value (line 1, column 1)"),
    "an empty object": ("{}", "training_tag: Field required"),
    "a text for a number": (changed(RESULT, iterations="3").decode(), "iterations: Input should be a valid integer"),
    "true for a number": (changed(RESULT, iterations=True).decode(), "iterations: Input should be a valid integer"),
    "a candidate that is a text": (changed(RESULT, candidates=["best"]).decode(), "candidates.0: Input should be an object"),
    "a metric that is a text": (json.dumps(RESULT).replace('{"EIR": 0.5}', '{"EIR": "0.5"}'), "candidates.0.metrics.EIR: Input should be a valid number"),
    "half a character": (changed(RESULT, log="\ud800").decode(), "a string contains a lone surrogate (U+D800)"),
}  # fmt: skip


@pytest.mark.parametrize("case", RESULTS)
def test_a_result_is_read_strictly(case):
    text, message = RESULTS[case]
    with pytest.raises(StepError) as caught:
        store.from_json(TrainResult, text)
    assert str(caught.value) == (f"the result of train cannot be read ({message}); run train again")


# What lies in the place of result.json, what is said in the brackets.
STORED = {
    "nothing": (b"", "it is empty"),
    "no result": (b'{"created": "2026-01-01"}', "result: Field required"),
    "a time that is none": (b'{"result": {}, "config_digest": "", "created": "yesterday"}', "Invalid isoformat string: 'yesterday'"),
}  # fmt: skip


@pytest.mark.parametrize("case", STORED)
def test_a_stored_result_is_read_strictly(case, tmp_path):
    content, message = STORED[case]
    storage = open_storage(str(tmp_path))
    storage.write_bytes("results/train/t/k/result.json", content)
    with pytest.raises(StepError) as caught:
        store.find_result(storage, TrainResult, "t", "k")
    assert str(caught.value) == (
        f"{storage.uri}/results/train/t/k/result.json is not a result of a step ({message}); "
        "remove it and run the step again"
    )


# dataset.json of a training tag, what is said in the brackets.
DATASETS = {
    "nothing": (b"", "it is empty"),
    "no format at all": (changed(DATASET, format=0), "format: '0'; expected a positive whole number"),
    "a list": (b"[]", "it is not a JSON object"),
    "an image that is a text": (changed(DATASET, images=["a.jpg"]), "images.0: Input should be an object"),
    "a count that is a text": (changed(DATASET, instances={"train": {"0": "many"}}), "instances.train.0: Input should be a valid integer"),
}  # fmt: skip


@pytest.mark.parametrize("case", DATASETS)
def test_dataset_json_is_read_strictly(case):
    content, message = DATASETS[case]
    with pytest.raises(DataError) as caught:
        from_bytes(content, "dataset.json of plates_train_v1")
    assert str(caught.value) == (
        f"dataset.json of plates_train_v1 cannot be read ({message}); "
        "add the annotations as a new version and record that"
    )


def coco(**fields):
    image = {"id": 1, "file_name": "a.jpg", "width": 4, "height": 4, "sha256": "", "group": "", **fields}
    return json.dumps({"categories": [{"id": 1, "name": "0"}], "images": [image], "annotations": []}).encode()


NO_COCO = "val.json cannot be read as COCO: {}; check out the training tag again"
ONE_FAULT = "val.json has 1 fault; record the dataset again:\n  image 1: {}"
# A COCO document, what is said.
DOCUMENTS = {
    "nothing": (b"", NO_COCO.format("it is empty")),
    "cut off": (coco()[:-1], NO_COCO.format("not valid JSON: Expecting ',' delimiter (line 1, column 156)")),
    "100,000 brackets": (b"[" * 100_000, NO_COCO.format("brackets are nested too deeply")),
    "NaN": (coco(width=float("nan")), NO_COCO.format("it contains NaN, which JSON does not allow")),
    "a list": (b"[]", "val.json is not a COCO document of Sightline (TypeError: list indices must be integers or slices, not str); record the dataset again"),
    "an image outside": (coco(file_name="../../etc/passwd"), ONE_FAULT.format("file_name '../../etc/passwd' cannot be used: it contains . or .. as a component")),
    "an absolute image": (coco(file_name="/etc/passwd"), ONE_FAULT.format("file_name '/etc/passwd' cannot be used: it begins or ends with a slash, or contains two in a row")),
    "an image on a drive": (coco(file_name="C:\\a.jpg"), ONE_FAULT.format("file_name 'C:\\\\a.jpg' cannot be used: it contains a backslash")),
    "an image with NUL": (coco(file_name="a\0.jpg"), ONE_FAULT.format("file_name 'a\\x00.jpg' cannot be used: it contains a control character")),
    "an image without a name": (coco(file_name=""), ONE_FAULT.format("file_name '' cannot be used: it is empty")),
}  # fmt: skip


@pytest.mark.parametrize("case", DOCUMENTS)
def test_a_coco_document_is_read_strictly(case):
    content, message = DOCUMENTS[case]
    with pytest.raises(DataError) as caught:
        decode_coco(content, "val.json")
    assert str(caught.value) == message


MD5 = "0123456789abcdef0123456789abcdef"
ONE_ENTRY = "must have one entry under 'outs', a folder; add the data again"
# A .dvc file, what is said after its name.
DVC_FILES = {
    "nothing": ("", f" {ONE_ENTRY}"),
    "a list": ("- 1", f" {ONE_ENTRY}"),
    "no outs": ("wdir: ..", f" {ONE_ENTRY}"),
    "two outs": ("outs: [{md5: a}, {md5: b}]", f" {ONE_ENTRY}"),
    "outs of text": ("outs: [plates]", f" {ONE_ENTRY}"),
    "a merge conflict": ("<<<<<<< HEAD\nouts:\n=======\n", " is not valid YAML: mapping values are not allowed here (line 2, column 5); add the data again"),
    "an alias bomb": ("a: &a [x, x]\nouts: [*a, *a]", " is not valid YAML: alias *a is refused: write it out (line 2, column 8); add the data again"),
    "a tag that runs code": ("outs: [!!python/object/apply:os.system [ls]]", " is not valid YAML: a tag (!) is refused: write the plain value (line 1, column 8); add the data again"),
    "a file": (f"outs: [{{md5: {MD5}, size: 1}}]", " tracks a single file, expected a folder; add the data again"),
    "no md5": ("outs: [{size: 1, nfiles: 1}]", ": md5 must be 32 hexadecimal digits and .dir; add the data again"),
    "an md5 that leads elsewhere": ("outs: [{md5: ../../../../etc/passwd.dir, size: 1, nfiles: 1}]", ": md5 must be 32 hexadecimal digits and .dir; add the data again"),
    "an md5 that is a number": ("outs: [{md5: 12, size: 1, nfiles: 1}]", ": md5 must be 32 hexadecimal digits and .dir; add the data again"),
    "a size that is a word": (f"outs: [{{md5: {MD5}.dir, size: big, nfiles: 1}}]", ": size and nfiles must be whole numbers, 0 or more; add the data again"),
    "a negative count": (f"outs: [{{md5: {MD5}.dir, size: 1, nfiles: -1}}]", ": size and nfiles must be whole numbers, 0 or more; add the data again"),
}  # fmt: skip


@pytest.mark.parametrize("case", DVC_FILES)
def test_a_dvc_file_is_read_strictly(case):
    text, message = DVC_FILES[case]
    with pytest.raises(RepositoryError) as caught:
        read_dvc_file(text, "plates.dvc")
    assert str(caught.value) == f"plates.dvc{message}"


def test_what_sightline_writes_itself_is_read():
    assert (
        read_dvc_file(f"outs:\n- md5: {MD5}.dir\n  size: 3\n  nfiles: 2\n  hash: md5\n  path: plates\n", "f").files == 2
    )
    assert from_bytes(json.dumps(DATASET).encode(), "d").dataset == "plates"
    assert store.from_json(TrainResult, json.dumps(RESULT)).candidates[0].metrics == {"EIR": 0.5}
    assert decode_coco(coco(), "val.json")["images"][0]["file_name"] == "a.jpg"
