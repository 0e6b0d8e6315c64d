"""What -o and --html name is replaced only where it is of the kind that the command writes."""

from click.testing import CliRunner

import pipeline
from sightline.cli.lineage import command as lineage
from sightline.errors import DataError
from sightline.own_file import require_own
from tests.golden import raises


def test_compile_replaces_its_own_pipeline_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "compile_yaml", lambda steps: "# PIPELINE DEFINITION\n# Name: sightline\n")
    own, mine = tmp_path / "deep" / "pipeline.yaml", tmp_path / "mine.yaml"
    for _ in range(2):
        assert CliRunner().invoke(pipeline.cli, ["compile", "-o", str(own)], catch_exceptions=False).exit_code == 0
    for text in ("data: {classes: [a]}\n", "# PIPELINE DEFINITION\n# Name: another\n"):
        mine.write_text(text)
        with raises(DataError, "mine.yaml"):
            CliRunner().invoke(pipeline.cli, ["compile", "-o", str(mine)], catch_exceptions=False)
        assert mine.read_text() == text


def test_a_lineage_page_replaces_no_page_of_somebody_else(tmp_path):
    (tmp_path / "index.html").write_text("<!doctype html><title>mine</title>")
    with raises(DataError, "--html"):
        CliRunner().invoke(lineage, ["v1", "--html", str(tmp_path / "index.html")], catch_exceptions=False)


def test_places_where_no_file_can_be(tmp_path):
    (tmp_path / "file").write_text("")
    require_own(tmp_path / "file", (b"x",), "a page", "-o")  # empty: nothing is lost
    require_own(tmp_path / "new" / "page", (b"x",), "a page", "-o")
    (tmp_path / "broken").symlink_to("nowhere")
    for place in (tmp_path, tmp_path / "broken"):
        with raises(DataError):
            require_own(place, (b"x",), "a page", "-o")
    with raises(DataError):
        require_own(tmp_path / "file" / "page", (b"x",), "a page", "-o")
