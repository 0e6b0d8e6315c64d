"""The whole way of the data through Kubeflow's local runner, tiny: v1, again, v2, and some of the steps."""

import hashlib
import json
import re
import sqlite3
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.golden import compare
from tests.golden.normal import normal

pytestmark = pytest.mark.slow

RESULT = re.compile(r"^result: box_AP50=\d\.\d{4} mask_AP50=\d\.\d{4} .*seconds=\d+\.\d$", re.MULTILINE)


@pytest.fixture(scope="module")
def first(world):
    """The output of the first run on v1."""
    return world.run("plates_ann_v1")


def rows(world, query):
    with sqlite3.connect(world.home / "sightline.sqlite") as connection:
        return connection.execute(query).fetchall()


def states(world):
    journal = world.journal(world.runs()[-1]["run_id"])
    return {step: entry["state"] for step, entry in journal.items() if step != "finish"}


def pointers(world, number=-1):
    """What a run told Kubeflow of its training set and models: name -> (URI, metadata)."""
    folder = world.home / "work" / "runs" / world.runs()[number]["run_id"] / "kubeflow"
    told = [json.loads(path.read_text()).get("artifacts", {}) for path in folder.rglob("executor_output.json")]
    found = {name: entry["artifacts"][0] for artifacts in told for name, entry in artifacts.items()}
    return {name: (one["uri"], one["metadata"]) for name, one in found.items() if "training_tag" in one["metadata"]}


def test_the_last_lines_name_report_and_result(world, first):
    *_, report, result = first.strip().splitlines()
    assert RESULT.match(result)
    page = world.folder / report.removeprefix("report: ")
    assert page.is_file()
    text = page.read_text()
    assert "plates_train_v1" in text
    assert "python pipeline.py run --local" in re.sub(r"<[^>]+>", "", text)  # it may break between words
    assert not re.search(r"""(src|href)=["']?https?:""", text)


def test_a_run_prints_the_story_of_its_steps(first):
    """Numbers apart, which differ from machine to machine."""
    text = re.sub(r"[\d.]+ img/s .* left", "# img/s, # left", normal(first))
    compare(re.sub(r"\d+([.,:]\d+)*(e[+-]\d+)?", "#", text))


def test_what_happened_is_in_the_database(world, first):
    assert rows(world, "select tag, state from dataset_versions where kind = 'training'") == [
        ("plates_train_v1", "published")
    ]
    assert rows(world, "select count(*) from images")[0][0] >= 24
    assert rows(world, "select state from runs") == [("succeeded",)]
    assert {metric for (metric,) in rows(world, "select metric from promotions")} == {"mask_AP", "EIR"}


def test_selected_models_lie_in_the_result_bucket(world, first):
    for metric in ("mask_AP", "EIR"):
        folder = world.home / "bucket" / "evaluation" / "plates_train_v1" / metric
        assert (folder / "CURRENT.json").is_file()
        assert len(list(folder.glob("*/model.safetensors"))) == 1


def test_kubeflow_is_told_of_the_training_set_and_the_models(world, first):
    told = pointers(world, 0)
    assert set(told) == {"training_set", "candidate", "selected_model", "champion_model"}
    uri, said = told.pop("training_set")
    assert uri.endswith("@plates_train_v1#training/plates")
    assert said["train_images"] + said["val_images"] + said["test_images"] == 24
    for uri, said in told.values():
        content = Path(unquote(urlsplit(uri).path)).read_bytes()
        assert hashlib.sha256(content).hexdigest() == said["sha256"]
        assert (said["training_tag"], said["code_revision"]) == ("plates_train_v1", world.runs()[0]["code_rev"])
    assert [told[name][1]["role"] for name in ("selected_model", "champion_model")] == ["candidate", "champion"]


def test_the_model_says_what_made_it(world, first):
    (model,) = (world.home / "bucket/evaluation/plates_train_v1/EIR").glob("*/model.safetensors")
    text = world.sightline("model", "show", str(model))
    for fact in ("plates_train_v1", "r_board", "instance_segmentation", world.runs()[0]["code_rev"]):
        assert fact in text
    (image,) = list(world.photos.glob("*.jpg"))[:1]
    world.sightline("model", "predict", str(model), str(image), "--out", str(world.folder / "predicted"))
    assert {path.suffix for path in (world.folder / "predicted").iterdir()} >= {".json"}


def test_the_second_run_finds_everything_done(world, first):
    world.run("plates_ann_v1")
    assert states(world) == dict.fromkeys(("record", "train", "evaluate", "promote", "test"), "reused") | {
        "resolve": "succeeded"
    }
    assert len(rows(world, "select 1 from promotions")) == 2
    assert pointers(world) == pointers(world, 0)


def test_some_steps_go_on_from_the_last_results(world, first):
    world.run("plates_ann_v1", "--steps", "evaluate,test")
    assert set(states(world)) == {"resolve", "evaluate", "promote", "test"}
    assert states(world)["evaluate"] == "reused"


def test_a_step_without_a_result_before_it_says_what_to_run(world, first):
    output = world.run("plates_ann_v1", "--steps", "test", "--set", "train.iterations=5", expect=1)
    assert "no finished result of evaluate" in output
    assert "report:" in output


def test_an_unknown_tag_lists_those_there_are(world, first):
    output = world.run("plates_ann_v9", expect=1)
    assert "plates_ann_v9" in output
    assert "plates_ann_v1" in output


def test_a_new_tag_keeps_the_splits_and_meets_the_champion(world, first):
    world.draw(images=32)
    world.publish("v2")
    assert "added: 8" in world.sightline("data", "diff", "plates_ann_v1", "plates_ann_v2")
    world.run("plates_ann_v2")
    before, after = (
        dict(
            rows(
                world,
                "select i.sha256, i.split from images i join dataset_versions v on v.id = i.version_id "
                f"where v.tag = 'plates_train_{version}'",
            )
        )
        for version in ("v1", "v2")
    )
    assert len(before) == 24
    assert len(after) == 32
    assert before.items() <= after.items()
    entry = world.journal(world.runs()[-1]["run_id"])["evaluate"]
    result = json.loads(entry["result"])
    assert any(model["name"].startswith("champion") for model in result["models"])
    assert all(selection["previous_sha256"] for selection in result["selections"])
    page = (world.home / "work/runs" / world.runs()[-1]["run_id"] / "report/index.html").read_text()
    assert result["selections"][0]["reason"].split(":")[0] in page


def test_a_run_whose_champion_stays_tells_its_own_result_last(world, first):
    output = world.run("plates_ann_v1", "--set", "seed=3", "--set", "evaluate.select_by=[mask_AP]")
    *_, champion, gate, result = output.strip().splitlines()
    assert champion.startswith("champion: plates_train_v1 stays: box_AP50=0.")
    assert gate.startswith("gate: the champion of plates_train_v1 stays: mask_AP 0")
    assert RESULT.match(result)
    journal = world.journal(world.runs()[-1]["run_id"])
    tested = json.loads(journal["test"]["result"])["models"]
    assert [model["role"] for model in tested] == ["candidate", "champion"]
    (listed, *_) = json.loads(world.sightline("runs", "list", "--json"))
    candidate = listed["candidates"]["mask_AP"]
    assert (candidate["model"], candidate["champion"]) == (tested[0]["sha256"], tested[1]["sha256"])


def test_every_run_is_in_the_index(world, first):
    index = (world.home / "work/runs/index.html").read_text()
    assert all(run["run_id"] in index for run in world.runs())
