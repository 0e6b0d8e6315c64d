"""The numbers of a summary as files."""

import csv
import json

from sightline.report.numbers import write_numbers
from sightline.report.sections import Interval, IntervalsSection, TableSection

SUMMARY = {
    "training_tag": "plates_train_v1",
    "split": "val",
    "images": 3,
    "models": {
        "best": {
            "sha256": "b" * 64,
            "metrics": {"box_AP": 0.1 + 0.2, "EIR": 1.0},
            "intervals": {"box_AP": [0.2, 0.4]},
            "profile": {"device": "CPU", "latency_p50_ms": 3.5},
            "sections": [
                TableSection(id="classes", title="Per class", rows={"a, \"b\"\n": {"instances": 4, "box_AP": 0.25}}),
                IntervalsSection(id="slices", title="Slices", value_name="box_AP", rows=[
                    Interval(name="flag: night", value=0.5, low=0.4, high=0.6, count=12), Interval(name="unknown"),
                ]),
            ],
        },
        "champion": {"metrics": {}},
    },
}  # fmt: skip


def test_every_number_is_in_both_files_exactly(tmp_path):
    models = {
        name: {**model, "sections": [one.model_dump(mode="json") for one in model.get("sections", [])]}
        for name, model in SUMMARY["models"].items()
    }
    write_numbers(tmp_path, SUMMARY | {"models": models})
    document = json.loads((tmp_path / "metrics.json").read_text())
    rows = list(csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines(keepends=True)))
    assert len(rows) == len(document["values"]) == 7
    found = {(row["kind"], row["name"], row["metric"]): row for row in rows}
    assert float(found["metric", "", "box_AP"]["value"]) == 0.1 + 0.2
    assert [found["metric", "", "box_AP"][key] for key in ("low", "high")] == ["0.2", "0.4"]
    assert found["metric", "", "EIR"]["low"] == ""
    assert found["classes", 'a, "b"\n', "instances"]["value"] == "4.0"
    assert found["slices", "flag: night", "box_AP"]["count"] == "12"
    assert found["slices", "unknown", "box_AP"]["value"] == ""
    assert found["profile", "", "latency_p50_ms"]["value"] == "3.5"
    assert {row["sha256"] for row in rows} == {"b" * 64}


def test_a_summary_without_models_gives_empty_files(tmp_path):
    write_numbers(tmp_path, {})
    assert json.loads((tmp_path / "metrics.json").read_text())["values"] == []
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 1
