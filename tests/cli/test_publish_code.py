"""publish-code: what it prints, where it publishes, and what it refuses."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from sightline.cli.kubeflow.code import command
from sightline.code import make_snapshot, publish_to_bucket
from sightline.storage import open_storage
from sightline_bootstrap import current, verify
from tests.code.packages import small_package


def run(*arguments):
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def revision():
    return make_snapshot().revision


FACTS = r"\d+ files, (commit [0-9a-f]{12}( with changes)?|no git commit), \d+\.\d\d s"


def test_to_the_bucket_of_the_settings_file(sightline_home, revision):
    place = (sightline_home / "bucket/code/snapshots" / f"{revision}.json").as_uri()
    output = run().output
    assert re.fullmatch(
        rf"{revision} published\n{place}: {FACTS}\nnote: only pods that mount this folder can see it; .*\n", output
    ), output
    output = run().output
    assert output.startswith(f"{revision} is already published and current; nothing was written\n{place}: ")


def test_to_a_volume_as_json(tmp_path, revision):
    volume = tmp_path / "volume"
    document = json.loads(run("--volume", str(volume), "--json").output)
    assert document["revision"] == revision == current(volume)
    assert document["files"] == len(make_snapshot().contents)
    assert document["place"] == str(volume / "snapshots" / revision)
    assert {"commit", "dirty", "created", "version", "seconds"} < set(document)
    assert (document["unchanged"], document["note"]) == (False, "")
    verify(volume, revision)
    assert json.loads(run("--volume", str(volume), "--json").output)["unchanged"] is True


def test_to_another_bucket_and_back_to_older_code(tmp_path, revision):
    bucket = str(tmp_path / "bucket")
    run("--bucket", bucket)
    publish_to_bucket(make_snapshot(small_package(tmp_path)), open_storage(bucket))
    assert run("--bucket", bucket).output.startswith(f"{revision} is current again; it had been published before\n")


def test_a_volume_whose_bucket_says_otherwise(sightline_home, tmp_path, revision):
    older = publish_to_bucket(make_snapshot(small_package(tmp_path)), open_storage(str(sightline_home / "bucket")))
    assert run("--volume", str(tmp_path / "volume")).output.endswith(
        f"note: code_rev=current still means {older.manifest.revision[:12]}, because "
        f"{(sightline_home / 'bucket').as_uri()} says so; run with code_rev={revision[:12]}, or publish to the bucket\n"
    )


def test_both_places_are_refused(tmp_path):
    result = run("--volume", str(tmp_path), "--bucket", str(tmp_path))
    assert result.exit_code == 2
    assert "--volume and --bucket cannot be combined" in result.output
