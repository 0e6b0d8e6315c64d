"""``sightline lineage``: what it prints, for whom, and what it says when there is nothing."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from sightline.cli import cli
from sightline.config.settings import settings_path
from sightline.data.git.commands import git
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.tags import DatasetTag
from sightline.database import open_database
from sightline.errors import DatabaseError, ModelFileError, UnknownNameError
from sightline.registry.champions import ChampionPointer, write_champion
from sightline.storage import open_storage
from tests import lineage_story as story
from tests.golden import raises
from tests.labelled_folder import names, write_images
from tests.lineage_story import BEST1, BEST2, R1, R2, R3


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('lineage')}/x.sqlite"
    with closing(open_database(url)) as database:
        story.tell(database)
    return url


def run(*arguments):
    result = CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_model_as_text(url):
    lines = run("lineage", BEST1[:8], "--url", url).splitlines()
    assert lines[0] == f"model {BEST1}"
    text = "\n".join(line.rstrip() for line in lines)
    assert re.search(r"plates_train_v1 +made from plates_ann_v1: 6 train, 2 val, 2 test images", text)
    assert re.search(rf"{R1}  succeeded, started ", text)
    assert f"model {BEST1[:12]}: made, best, selected by EIR and mask_AP, tested" in text
    assert f"model {BEST1[:12]}: found finished, best, selected by EIR and mask_AP, tested" in text
    assert "champion by EIR; was champion by mask_AP" in text
    assert re.search(r"mask_AP +0\.5100 +0\.4900 +0\.5000$", text, re.M)
    assert re.search(rf"mask_AP  {BEST1[:12]}  0\.510  .* \({BEST2[:12]}\)$", text, re.M)


def test_it_imports_no_more_than_it_needs(url):
    """The schema of the configuration, Alembic, torch and the mapper would each take as long as all the rest."""
    code = (
        "import sys; from sightline.cli import cli; cli(sys.argv[1:], standalone_mode=False);"
        "print(*sorted({'pydantic', 'alembic', 'torch', 'PIL', 'jinja2', 'sqlalchemy.orm'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "shared")}
    for arguments in (["lineage", R1], ["lineage", R1, "--json"], ["runs", "list"]):
        command = [sys.executable, "-c", code, *arguments, "--url", url]
        shown = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        assert shown.splitlines()[-1] == ""


def test_a_tag_lists_its_models(url):
    text = run("lineage", "plates_train_v2", "--url", url)
    assert re.search(rf"{BEST2[:12]} +{R3} +plates_train_v2 val +0\.620 .* champion by mask_AP", text)
    assert re.search(rf"{BEST1[:12]} +{R1} +plates_train_v2 val +0\.500 .* champion by EIR", text)
    assert "not in this database" not in text
    assert "not registered" not in text


def test_json_holds_everything(url):
    document = json.loads(run("lineage", R3, "--json", "--url", url))
    assert list(document) == [
        "asked", "annotations", "training_sets", "runs", "models", "promotions", "hidden",
    ]  # fmt: skip
    assert document["asked"] == {"kind": "run", "name": R3}
    (found,) = document["runs"]
    assert found["configuration"]["train"]["iterations"] == 900
    assert document["training_sets"][0]["images_per_split"] == {"train": 8, "val": 3, "test": 3}
    models = {model["sha256"]: model for model in document["models"]}
    assert {"run_id": R3, "role": "selected", "metric": "mask_AP"} in models[BEST2]["uses"]
    assert [one["champion_now"] for one in document["promotions"]] == [True, True, False]


def test_a_model_file_is_known_by_its_contents(tmp_path):
    model = tmp_path / "model.safetensors"
    model.write_bytes(b"weights")
    url = f"sqlite:///{tmp_path}/x.sqlite"
    with closing(open_database(url)) as database:
        story.register(database, "plates", "v1", (1, 1, 1))
        story.offer(database, "r1", "v1", {"best": (story.sha("weights"), 0.5, 0.5)})
    for name in (str(model), model.as_uri()):
        assert run("lineage", name, "--url", url).startswith(f"model {story.sha('weights')}")
    model.write_bytes(b"others")
    with raises(UnknownNameError, model, "sha256", story.sha("others")):
        run("lineage", str(model), "--url", url)


def test_a_champion_is_known_by_its_dataset(tmp_path, sightline_home):
    url = f"sqlite:///{tmp_path}/x.sqlite"
    with closing(open_database(url)) as database:
        story.tell(database)
    storage = open_storage(str(sightline_home / "bucket"))
    pointer = ChampionPointer("mask_AP", BEST2, "file:///srv/best.safetensors", "plates_train_v2", 0.62, "", "")
    write_champion(storage, "plates", pointer, 0)
    for name in ("champion:plates", "champion:plates/mask_AP"):
        assert run("lineage", name, "--url", url).startswith(f"model {BEST2}")
    with raises(ModelFileError):
        run("lineage", "champion:signs", "--url", url)
    write_champion(storage, "signs", dataclasses.replace(pointer, sha256="ab" * 32), 0)
    with raises(UnknownNameError, "champion:signs", "sha256", "ab" * 32):
        run("lineage", "champion:signs", "--url", url)


def test_a_version_that_no_run_has_used_is_told_from_an_unknown_name(tmp_path, url, sightline_home):
    init_repository(tmp_path / "data", str(tmp_path / "remote"))
    photos = write_images(tmp_path / "photos", names(2))
    added = DatasetTag("pets", "ann", "v2")
    add_annotations(tmp_path / "data", photos, added, timeout_seconds=600, allow_faults=False)
    settings_path().write_text(f"data: {{repository: '{tmp_path}/data'}}\n")
    with raises(UnknownNameError, "pets_ann_v2", "data.tag=pets_ann_v2"):
        run("lineage", "pets_ann_v2", "--url", url)
    with raises(UnknownNameError, "pets_ann_v3"):
        run("lineage", "pets_ann_v3", "--url", url)
    git("tag", "pets_train_v2", cwd=tmp_path / "data", timeout_seconds=60)
    for name in ("pets_ann_v2", "pets_train_v2"):
        with raises(UnknownNameError, name):
            run("lineage", name, "--url", url)


def test_a_maker_that_is_in_another_database_is_said(tmp_path):
    url = f"sqlite:///{tmp_path}/x.sqlite"
    with closing(open_database(url)) as database:
        story.offer(database, "r-elsewhere", "v1", {"best": (BEST1, 0.5, 0.5)})
    text = run("lineage", BEST1, "--url", url)
    assert re.search("plates_train_v1 +not registered in this database", text)
    assert re.search("r-elsewhere +not in this database", text)


def test_the_database_comes_from_the_configuration(url, sightline_home):
    assert R1 in run("lineage", R1, "--set", f"database.url={url}")
    (sightline_home / "settings.yaml").write_text(f"database: {{url: '{url}'}}\n")
    assert R1 in run("lineage", R1)
    (sightline_home / "settings.yaml").unlink()
    with raises(DatabaseError):
        run("lineage", R1)


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", [BEST1[:8], "plates_train_v1", R3])
def test_nothing_is_wider_than_the_terminal_and_nothing_is_cut(url, columns, name):
    lines = on_a_terminal(columns, "lineage", name, "--url", url)
    assert max(map(len, lines)) <= columns
    text = re.sub(r"\s+", "", "".join(lines))
    for whole in [R3, "plates_train_v2"] if name == R3 else [R1, R3, "plates_train_v1"]:
        assert whole in text
    assert "…" not in text


@pytest.mark.parametrize("columns", [80, 120])
def test_no_id_of_a_run_is_broken_in_a_list(tmp_path, columns):
    url = f"sqlite:///{tmp_path}/x.sqlite"
    run_ids = [f"20261128-09220{number}-3ae5" for number in range(5)]
    with closing(open_database(url)) as database:
        story.tell(database)
        for number, run_id in enumerate(run_ids):
            story.start(database, run_id, "plates_ann_v1", [])
            story.offer(database, run_id, "v1", {"best": (story.sha(run_id), 0.4 + number / 100, 0.5)})
            database.finish_run(run_id, "interrupted", "stopped by hand")
    for arguments in (["lineage", "plates_train_v1"], ["runs", "list"]):
        lines = on_a_terminal(columns, *arguments, "--url", url)
        assert max(map(len, lines)) <= columns
        assert {line.split()[0] for line in lines if line.strip()} >= {*run_ids}
        assert "…" not in "".join(lines)
        if arguments[0] == "lineage":
            assert (story.CODE in "".join(lines)) == (columns == 120)


def on_a_terminal(columns, *arguments):
    """What a real terminal of so many columns shows, without colours."""
    import pty
    import termios

    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (50, columns))
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(Path(__file__).parents[2] / "shared")}
    environment.pop("COLUMNS", None)
    command = [sys.executable, "-m", "sightline", *arguments]
    with subprocess.Popen(command, stdout=follower, stderr=follower, env=environment) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                data = os.read(leader, 65536)
            except OSError:  # the end, on Linux
                break
            if not data:
                break
            shown += data
        assert process.wait(60) == 0, shown
    os.close(leader)
    assert b"\x1b[" in shown
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()


def test_the_page(url, tmp_path):
    page = tmp_path / "pages" / "lineage.html"
    assert f"wrote {page}" in run("lineage", "plates_ann_v1", "--url", url, "--html", str(page))
    text = page.read_text()
    assert R2 in text
    assert BEST1 in text
