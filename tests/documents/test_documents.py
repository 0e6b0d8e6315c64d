"""Every kind of stored document through its own reader: those of earlier releases, of later ones, and damaged ones."""

# ruff: noqa: E501  (a table: one row a kind)

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightline.code.bucket import POINTER, POINTER_KEY, read_pointer
from sightline.code.snapshot import MANIFEST, SNAPSHOT, read_snapshot
from sightline.code.volume import read_manifest
from sightline.data.detections import Detections
from sightline.data.recording.training_set import TRAINING_SET, from_bytes, to_bytes
from sightline.data.repository.finishing import FINISH, read_note
from sightline.data.repository.staging import staging_root
from sightline.documents import DocumentError, DocumentKind
from sightline.engine.checkpoint import CHECKPOINT, read_state
from sightline.engine.checkpoints import MANIFEST as CHECKPOINT_MANIFEST
from sightline.engine.checkpoints import read_manifest as read_checkpoint_manifest
from sightline.errors import (
    CodeError,
    DataError,
    ModelFileError,
    RepositoryError,
    SightlineError,
    StepError,
    StorageError,
)
from sightline.evaluation.inference import KEPT_PREDICTIONS, infer_split, predictions_to_json
from sightline.garbage.naming import read_document as read_for_gc
from sightline.models.model_file import MODEL_CARD, card_document, read_card
from sightline.models.safetensors_file import read_metadata
from sightline.models.weights.stored import ORIGIN, STORED, origin_of, read_entry
from sightline.registry import results as stored
from sightline.registry import store
from sightline.registry.champions import CHAMPION, pointer_key, read_champion
from sightline.registry.results import PUBLICATION, RESULTS, result_values
from sightline.registry.training_history import HISTORY
from sightline.report.pages.history_charts import read_history
from sightline.report.pages.summary import SUMMARY, read_summary
from sightline.runs.document import RUN, read_document
from sightline.runs.journal import TASK_ENTRY, read_journal
from sightline.runs.training_logs import TRAINING_LOGS, read_training_logs
from sightline.steps.task import Finished
from sightline.storage import open_storage
from sightline.version import __version__
from tests.documents.make_fixtures import FIXTURES
from tests.golden import raises

REVISION = json.loads((FIXTURES / "code_manifest" / "format-1.json").read_text())["revision"]


@dataclass(frozen=True)
class Case:
    """One kind of document.

    Attributes:
        kind: What knows its formats.
        read: Its reader: puts the bytes where they belong below a folder, and reads them.
        error: What the reader raises.
        wrong: A field with a value of another type.
    """

    kind: DocumentKind
    read: Callable[[bytes, Path], Any]
    error: type[SightlineError]
    wrong: dict[str, Any]


def at(place: str, read: Callable[[Path], Any]) -> Callable[[bytes, Path], Any]:
    """A reader of a file below a folder."""

    def reader(content: bytes, folder: Path):
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return read(folder)

    return reader


def in_bucket(key: str, read: Callable) -> Callable[[bytes, Path], Any]:
    """A reader of an object in a bucket."""
    return at(key, lambda folder: read(open_storage(str(folder))))


def result(kind: type) -> Case:
    wrong = {"seconds": "1.0"}
    return Case(RESULTS[kind], lambda content, _: store.from_json(kind, content.decode()), StepError, wrong)


def published(kind: type) -> Case:
    read = in_bucket(f"results/{store.STEP_OF[kind]}/t/k/result.json", lambda bucket: store.find_result(bucket, kind, "t", "k"))  # fmt: skip
    return Case(PUBLICATION, read, StepError, {"config_digest": 5})


def kept(folder: Path) -> list[dict[str, Any]]:
    found = infer_split(None, None, folder, prediction=Detections, kept=folder / "kept.json", max_pixels=1)
    return json.loads(predictions_to_json(found))["images"]


CASES = {
    "record_result": result(stored.RecordResult),
    "train_result": result(stored.TrainResult),
    "evaluate_result": result(stored.EvaluateResult),
    "test_result": result(stored.TestResult),
    "published_record_result": published(stored.RecordResult),
    "published_train_result": published(stored.TrainResult),
    "published_evaluate_result": published(stored.EvaluateResult),
    "published_test_result": published(stored.TestResult),
    "training_set": Case(TRAINING_SET, lambda content, _: from_bytes(content, "d"), DataError, {"ignored": "none"}),
    "champion": Case(
        CHAMPION,
        in_bucket(pointer_key("shapes", "mask_AP"), lambda bucket: read_champion(bucket, "shapes", "mask_AP")[0]),
        StepError,
        {"value": "0.5"},
    ),
    "history": Case(HISTORY, at("history.json", read_history), DataError, {"entries": "none"}),
    "kept_predictions": Case(KEPT_PREDICTIONS, at("kept.json", kept), StepError, {"images": [{"image_id": 1}]}),
    "summary": Case(SUMMARY, at("summary.json", read_summary), DataError, {"models": "none"}),
    "run": Case(RUN, at("runs/r/run.json", lambda folder: read_document(folder, "r")), StepError, {"steps": "train"}),
    "task_entry": Case(
        TASK_ENTRY, at("runs/r/tasks/train.json", lambda folder: read_journal(folder, "r")), StepError, {"pid": "1"}
    ),
    "training_logs": Case(
        TRAINING_LOGS, at("runs/r/training.json", lambda folder: read_training_logs(folder, "r")), StepError, {"files": 1}
    ),
    "code_manifest": Case(MANIFEST, at("MANIFEST.json", read_manifest), CodeError, {"files": []}),
    "code_snapshot": Case(
        SNAPSHOT, lambda content, _: read_snapshot(REVISION, content, "gs://b/x"), CodeError, {"contents": []}
    ),
    "current_code": Case(POINTER, in_bucket(POINTER_KEY, lambda bucket: read_pointer(bucket)[0]), CodeError, {"revision": 5}),
    "unfinished_addition": Case(
        FINISH,
        lambda content, folder: at(str(staging_root(folder).relative_to(folder) / "unfinished.json"), read_note)(content, folder),
        RepositoryError,
        {"staged": None},
    ),
    "model": Case(MODEL_CARD, at("m.safetensors", lambda folder: read_card(folder / "m.safetensors")), ModelFileError, {"classes": "a"}),
    "checkpoint": Case(CHECKPOINT, at("c.safetensors", lambda folder: read_state(folder / "c.safetensors")), StepError, {"iteration": "1"}),
    "checkpoint_manifest": Case(CHECKPOINT_MANIFEST, at("c/00000004.json", lambda folder: read_checkpoint_manifest(folder / "c" / "00000004.json")), StepError, {"files": 1}),
    "weights_origin": Case(ORIGIN, at("w.safetensors", lambda folder: origin_of(read_metadata(folder / "w.safetensors"), folder)), ModelFileError, {"classes": 1}),
    "stored_weights": Case(STORED, in_bucket("W.V1.json", lambda bucket: read_entry(bucket, "W.V1")), StorageError, {"size_bytes": "1"}),
}  # fmt: skip

ONLY_WRITTEN = {"selected_model", "current_model", "digests"}
KEYS = {"model": "sightline", "checkpoint": "sightline-checkpoint", "weights_origin": "sightline-weights"}
FILES = {f"{path.parent.name} {path.stem}": path for path in sorted(FIXTURES.glob("*/*")) if path.parent.name in CASES}


def newest(name: str) -> bytes:
    """The document as it is written now."""
    (path,) = (FIXTURES / name).glob(f"format-{CASES[name].kind.format}.*")
    return path.read_bytes()


def text_of(name: str, content: bytes) -> str:
    if name not in KEYS:
        return content.decode()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length])["__metadata__"][KEYS[name]]


def with_text(name: str, content: bytes, text: str) -> bytes:
    """The same file with another document in it."""
    if name not in KEYS:
        return text.encode()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"][KEYS[name]] = text
    new = json.dumps(header).encode()
    return struct.pack("<Q", len(new)) + new + content[8 + length :]


def changed(name: str, **fields: Any) -> bytes:
    content = newest(name)
    return with_text(name, content, json.dumps({**json.loads(text_of(name, content)), **fields}))


def refused(name: str, content: bytes, folder: Path) -> str:
    with pytest.raises(SightlineError) as caught:
        CASES[name].read(content, folder)
    assert type(caught.value) is CASES[name].error
    return str(caught.value)


def test_every_fixture_is_read_by_a_case():
    assert {path.name for path in FIXTURES.iterdir()} == CASES.keys() | ONLY_WRITTEN


@pytest.mark.parametrize("file", FILES)
def test_a_document_of_every_format_is_read(file, tmp_path):
    name = FILES[file].parent.name
    read = CASES[name].read(FILES[file].read_bytes(), tmp_path / "a")
    assert read is not None
    if name not in {"history", "kept_predictions", "summary"}:  # of trainings that differ, or of the folder
        assert read == CASES[name].read(newest(name), tmp_path / "a")


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.kind.format > 1])
def test_what_is_written_now_names_its_format(name):
    assert json.loads(text_of(name, newest(name)))["format"] == CASES[name].kind.format


@pytest.mark.parametrize("name", CASES)
def test_unknown_fields_are_ignored(name, tmp_path):
    case = CASES[name]
    assert case.read(changed(name, tomorrow={"a": [1]}), tmp_path) == case.read(newest(name), tmp_path)


@pytest.mark.parametrize("name", CASES)
def test_a_newer_format_is_refused_with_what_to_install(name, tmp_path):
    message = refused(name, changed(name, format=99, tomorrow={}), tmp_path)
    assert "it has format 99" in message
    assert message.endswith(f"install a version of Sightline later than {__version__}")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("number", [0, -1, 1.0, True, None, "1", [1]])
def test_a_format_that_is_no_number_is_refused(name, number, tmp_path):
    message = refused(name, changed(name, format=number), tmp_path)
    assert "expected a positive whole number" in message
    assert "install" not in message


@pytest.mark.parametrize("name", CASES)
def test_a_field_of_another_type_is_refused(name, tmp_path):
    assert next(iter(CASES[name].wrong)) in refused(name, changed(name, **CASES[name].wrong), tmp_path)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"a"', "not JSON", "[" * 5000, '{"a": 1, "a": 2}', '{"a": NaN}'])  # fmt: skip
def test_what_is_no_document_is_refused(name, text, tmp_path):
    if text == "[]" and name in {"history", "kept_predictions"}:
        text = "[[]]"  # a list of objects is a document of format 1
    refused(name, with_text(name, newest(name), text), tmp_path)


@pytest.mark.parametrize("name", CASES)
def test_a_document_that_is_cut_off_is_refused(name, tmp_path):
    content = newest(name)
    text = text_of(name, content).rstrip()
    for length in (1, len(text) // 2, len(text) - 1):
        refused(name, with_text(name, content, text[:length]), tmp_path)


@pytest.mark.parametrize("name", [name for name in CASES if name not in KEYS])
def test_what_is_no_text_is_refused(name, tmp_path):
    if not name.endswith("_result") or name.startswith("published"):
        refused(name, b"\xff\xfe\0\xd8", tmp_path)


class TestWritersNameTheFormat:
    def test_results(self, tmp_path):
        for kind in RESULTS:
            name = f"{store.STEP_OF[kind]}_result"
            again = store.to_json(CASES[name].read(newest(name), tmp_path))
            written = {"format": 1, **json.loads(newest(name))}
            assert _only_known(json.loads(again), written) == written  # later fields have defaults
            assert result_values(store.STEP_OF[kind], newest(name).decode()) == written

    def test_training_sets(self):
        assert to_bytes(from_bytes(newest("training_set"), "d")) == newest("training_set").rstrip()

    def test_model_cards(self, tmp_path):
        card = CASES["model"].read((FIXTURES / "model" / "format-1.safetensors").read_bytes(), tmp_path)
        document = card_document(card)
        assert document["format"] == MODEL_CARD.format
        assert "format_version" not in document

    def test_kept_predictions(self, tmp_path):
        before = json.loads((FIXTURES / "kept_predictions" / "format-1.json").read_text())
        after = CASES["kept_predictions"].read(json.dumps(before).encode(), tmp_path)
        assert [one["masks"] for one in after] == [one["masks"] for one in before]
        assert all(np.array_equal(a["scores"], b["scores"]) for a, b in zip(after, before, strict=True))


def test_a_summary_of_the_first_format_brings_the_sections_that_are_written_now():
    first, second = (json.loads((FIXTURES / "summary" / f"format-{number}.json").read_text()) for number in (1, 2))
    upgraded, written = SUMMARY.upgrade(first)["models"]["best"], second["models"]["best"]  # of equal trainings
    assert [section["id"] for section in written["sections"]] == [
        "classes",
        "confidence",
        "curves",
        "confusion",
        "predictions",
    ]
    assert upgraded["metrics"] == written["metrics"]
    old, new = ({one["id"]: _without_prose(one) for one in side["sections"]} for side in (written, upgraded))
    assert new == old  # in the order of today
    labels, matrix = Finished("{}", summary=second).confusion  # what Kubeflow shows
    assert (labels, len(matrix)) == (["square", "disc", "background"], 3)
    assert [item["remark"] for item in SUMMARY.upgrade(first)["drawn"]] == [item["remark"] for item in second["drawn"]]


def _only_known(value, written):
    """A document with only the fields that an earlier one has."""
    if isinstance(value, dict) and isinstance(written, dict):
        return {name: _only_known(value[name], written[name]) for name in written}
    if isinstance(value, list) and isinstance(written, list) and len(value) == len(written):
        return [_only_known(one, other) for one, other in zip(value, written, strict=True)]
    return value


def _without_prose(part):
    """A section without what is around its values, which is worded and drawn anew from release to release."""
    if isinstance(part, list):
        return [_without_prose(one) for one in part]
    if not isinstance(part, dict):
        return part
    prose = {"title", "lead", "hint", "missing", "bar"}
    return {name: _without_prose(value) for name, value in part.items() if name not in prose}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("results/train/t/k/result.json", "published_train_result"),
        ("champions/shapes/mask_AP.json", "champion"),
        ("evaluation/t/mask_AP/CURRENT.json", "current_model"),
        ("evaluation/t/mask_AP/0123456789abcdef/manifest.json", "selected_model"),
    ],
)
def test_garbage_collection_stops_at_a_newer_document(key, name, tmp_path):
    storage = open_storage(str(tmp_path))
    document = json.loads((FIXTURES / name / "format-1.json").read_text())
    storage.write_bytes(key, json.dumps(document).encode())
    assert read_for_gc(storage, key) == document
    storage.write_bytes(key, json.dumps(document | {"format": 99}).encode())
    with raises(StepError):
        read_for_gc(storage, key)


@dataclass(frozen=True)
class Plate:
    """A document of format 3: ``name`` was ``title``, and before that the document was the text alone."""

    name: str
    size: int = 1


def _named(document):
    return {"name": document.pop("title"), **document}


PLATE = DocumentKind("plate", Plate, upgrades=(lambda text: {"title": text.strip()}, _named))


class TestUpgrades:
    @pytest.mark.parametrize(
        "text",
        [
            '" A1 "',
            '{"format": 2, "title": "A1"}',
            '{"format": 3, "name": "A1"}',
            '{"format": 3, "name": "A1", "x": 1}',
        ],
    )
    def test_each_format_is_upgraded_step_by_step(self, text):
        assert PLATE.decode(text) == PLATE.decode_value(json.loads(text)) == Plate("A1")

    def test_what_is_written_has_the_newest_format(self):
        assert PLATE.encode(Plate("A1", 2)) == {"format": 3, "name": "A1", "size": 2}
        assert PLATE.decode(json.dumps(PLATE.encode(Plate("A1", 2)))) == Plate("A1", 2)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ('{"format": 2, "name": "A1"}', "format 2"),
            ('{"title": "A1"}', "format 1"),
            ('{"format": 3, "title": "A1"}', "name"),
            ('{"format": 3, "name": "A1", "size": 1.5}', "size"),
            ("7", "JSON"),
        ],
    )
    def test_what_does_not_fit_its_format_is_refused(self, text, reason):
        with raises(DocumentError, reason) as caught:
            PLATE.decode(text)
        assert not caught.value.is_newer
        assert caught.value.remedy("look") == "look"

    def test_an_upgrade_may_change_what_it_is_given_but_not_the_document_of_the_caller(self):
        document = {"format": 3, "name": "A1"}
        assert PLATE.upgrade(document) == document
        assert PLATE.upgrade(document) is not document

    def test_a_byte_order_mark_is_read(self):
        assert PLATE.decode(b"\xef\xbb\xbf" + b'{"format": 3, "name": "A1"}') == Plate("A1")
