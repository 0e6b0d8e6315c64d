"""``sightline runs``: from the database alone."""

from __future__ import annotations

import json
import re
from contextlib import closing

import pytest
from click.testing import CliRunner

from sightline.cli import cli
from sightline.database import ModelUse, open_database
from sightline.errors import DataError, UnknownNameError
from sightline.report.wording import NOTHING
from tests import lineage_story as story
from tests.golden import raises
from tests.lineage_story import BEST1, BEST2, R1, R2, R3


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('runs')}/x.sqlite"
    with closing(open_database(url)) as database:
        story.tell(database, places=["work.dir=/somewhere/else"])
    return url


def run(*arguments):
    result = CliRunner().invoke(cli, ["runs", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_list(url):
    lines = run("list", "--url", url).splitlines()
    assert [line.split()[0] for line in lines] == ["run", R3, R2, R1]
    assert re.search(r"failed .* plates_ann_v2 +EIR 0\.880 \(champion 0\.900\), mask_AP 0\.620", lines[1])
    assert [line.split()[0] for line in run("list", "--limit", "1", "--url", url).splitlines()] == ["run", R3]


def test_list_as_json(url):
    rows = json.loads(run("list", "--json", "--url", url))
    assert [row["run_id"] for row in rows] == [R3, R2, R1]
    assert rows[0]["selected"] == {"EIR": {"model": BEST1, "value": 0.9}, "mask_AP": {"model": BEST2, "value": 0.62}}
    assert rows[0]["candidates"] == {
        "EIR": {"model": BEST2, "value": 0.88, "champion": BEST1, "champion_value": 0.9},
        "mask_AP": {"model": BEST2, "value": 0.62, "champion": None, "champion_value": None},
    }
    assert rows[0]["configuration"]["recipe"] == "plates"


def test_an_empty_database(tmp_path):
    url = f"sqlite:///{tmp_path}/x.sqlite"
    open_database(url).close()
    assert "no runs yet" in run("list", "--url", url)
    assert json.loads(run("list", "--json", "--url", url)) == []


def test_show_prints_how_to_see_the_training_curves(tmp_path):
    work = tmp_path / "my work"
    url = f"sqlite:///{tmp_path / 'x.sqlite'}"
    with closing(open_database(url)) as database:
        story.tell(database, places=[f"work.dir={work}", "train.trackers=[text, tensorboard]"])
    logs = work / "train" / "abc" / "files" / "tensorboard"
    logs.mkdir(parents=True)
    (work / "runs" / R3).mkdir(parents=True)
    (work / "runs" / R3 / "training.json").write_text('{"files": "train/abc/files"}')
    assert f"tensorboard --logdir '{logs}'" in run("show", R3, "--url", url)
    assert json.loads(run("show", R3, "--json", "--url", url))["tensorboard"] == f"tensorboard --logdir '{logs}'"


def test_show_prints_no_such_command_for_a_run_without_such_curves(url):
    assert "tensorboard" not in run("show", R3, "--url", url)
    assert json.loads(run("show", R3, "--json", "--url", url))["tensorboard"] == ""


def test_show(url):
    text = run("show", R3[:11], "--url", url)
    assert re.search(rf"{R3}  failed, started .* took ", text)
    assert "test: test.images: no image lies below /srv/photos" in text
    assert "train.learning_rate = 0.0005 (recipe: 0.001)" in text
    assert f"model {BEST2[:12]}: made, best, best candidate by EIR, selected by mask_AP" in text
    assert f"model {BEST1[:12]}: champion, selected by EIR" in text
    assert re.search(r"^EIR +refused: EIR 0.88 against 0.9$", text, re.M)
    assert re.search(r"^mask_AP +promoted: mask_AP 0.62 against 0.5$", text, re.M)
    document = json.loads(run("show", R3, "--json", "--url", url))
    decided = {one["metric"]: (one["outcome"], one["candidate_sha256"], one["low"]) for one in document["decisions"]}
    assert decided == {"EIR": ("refused", BEST2, -0.05), "mask_AP": ("promoted", BEST2, 0.04)}
    assert document["configuration"]["train"]["learning_rate"] == 0.0005
    assert document["differs_from_recipe"] == {
        "train.iterations": {"recipe": 500, "run": 900},
        "train.learning_rate": {"recipe": 0.001, "run": 0.0005},
    }
    assert {model["sha256"] for model in document["models"]} >= {BEST1, BEST2}


def test_compare(url):
    text = "\n".join(line.rstrip() for line in run("compare", R1, R3, "--url", url).splitlines())
    assert re.search(r"^train\.iterations +120 +900$", text, re.M)
    assert re.search(r"^training set +plates_train_v1 +plates_train_v2$", text, re.M)
    assert re.search(rf"^model +{BEST1[:12]} +{BEST2[:12]}$", text, re.M)
    assert re.search(r"^ +mask_AP +0\.5100 +0\.6200 +\+0\.1100$", text, re.M)
    assert re.search(r"^ +EIR +0\.9200 +0\.8800 +-0\.0400$", text, re.M)
    assert re.search(rf"^test +box_AP +0\.4900 +{NOTHING} +{NOTHING}$", text, re.M)
    assert "measured on different images" in text
    assert "work.dir" not in text


def test_compare_as_json(url):
    document = json.loads(run("compare", R1, R3, "--json", "--url", url))
    assert list(document) == ["a", "b", "configuration", "metrics"]
    assert document["configuration"] == {
        "train.iterations": {"a": 120, "b": 900},
        "train.learning_rate": {"a": 0.001, "b": 0.0005},
    }
    assert document["a"]["selected"] == {"EIR": BEST1, "mask_AP": BEST1}
    assert (document["b"]["model"], document["b"]["role"]) == (BEST2, "best candidate by mask_AP")
    (value,) = [one for one in document["metrics"] if (one["split"], one["name"]) == ("val", "mask_AP")]
    assert value["difference"] == pytest.approx(0.11)


def test_a_page_of_runs_whose_models_are_gone_has_the_recorded_metrics(url, tmp_path):
    page = tmp_path / "page.html"
    text = run("compare", R1, R3, "--html", str(page), "--url", url)
    assert "could not be run on the same images" in text
    source = page.read_text()
    assert all(one in source for one in (R1, R3, "train.iterations", "mask_AP (val)", "0.620", "different images"))


def test_a_page_is_for_two_runs(url, tmp_path):
    result = CliRunner().invoke(cli, ["runs", "compare", R1, R2, R3, "--html", str(tmp_path / "x.html"), "--url", url])
    assert result.exit_code == 2
    assert "--html" in result.output
    assert not (tmp_path / "x.html").exists()


def test_a_page_replaces_no_file_of_the_user_and_is_not_named_like_a_run(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.html").write_text("mine")
    for name in ("notes.html", R1):
        result = CliRunner().invoke(cli, ["runs", "compare", "--html", name, R1, R3, "--url", url])
        assert isinstance(result.exception, DataError)
        assert name in str(result.exception)
    assert [path.name for path in tmp_path.glob("*") if path.suffix != ".sqlite"] == ["notes.html"]
    assert (tmp_path / "notes.html").read_text() == "mine"


def test_compare_a_run_whose_champion_stayed(tmp_path):
    """The run's own model stands for it, and the champion beside it."""
    url = f"sqlite:///{tmp_path}/x.sqlite"
    with closing(open_database(url)) as database:
        story.tell(database)
        story.start(database, "r4", "plates_ann_v2", ["evaluate.select_by=[EIR]"])
        story.offer(database, "r4", "v2", {"best": (story.sha("r4"), 0.3, 0.4)})
        database.record_uses("r4", [ModelUse(BEST1, "selected", "EIR"), ModelUse(story.sha("r4"), "proposed", "EIR")])
    text = "\n".join(line.rstrip() for line in run("compare", R3, "r4", "--url", url).splitlines())
    assert re.search(rf"^model +{BEST2[:12]} +{story.sha('r4')[:12]}$", text, re.M)
    assert re.search(rf"^champion +its model became champion +{BEST1[:12]} stays$", text, re.M)
    assert re.search(r"^ +EIR +0\.8800 +0\.4000 +-0\.4800$", text, re.M)
    document = json.loads(run("compare", R3, "r4", "--json", "--url", url))
    assert (document["a"]["champion"], document["b"]["champion"]) == (None, BEST1)


def test_runs_with_the_same_model(url):
    text = run("compare", R1, R2, "--url", url)
    assert "both runs use the same model" in text
    assert re.search(r"Configuration\s+the same", text)
    assert re.search(r"^champion +its model became champion +its model was champion already *$", text, re.M)


def test_a_run_without_models(tmp_path):
    url = f"sqlite:///{tmp_path}/x.sqlite"
    with closing(open_database(url)) as database:
        story.start(database, "r1", "plates_ann_v1", [])
        story.start(database, "r2", "plates_ann_v1", ["seed=1"])
    text = run("compare", "r1", "r2", "--url", url)
    assert "neither run has a measured model" in text
    assert re.search(r"seed +0 +1", text)
    assert "none yet" in run("show", "r1", "--url", url)


def test_names_that_are_no_run(url, tmp_path):
    with raises(UnknownNameError, "r7", R3):
        run("show", "r7", "--url", url)
    with raises(UnknownNameError):
        run("compare", R1, "2026", "--url", url)
    elsewhere = f"sqlite:///{tmp_path}/x.sqlite"
    with closing(open_database(elsewhere)) as database:
        story.offer(database, "r-elsewhere", "v1", {"best": (BEST1, 0.5, 0.5)})
    with raises(UnknownNameError):
        run("show", "r-elsewhere", "--url", elsewhere)
