"""Decisions on suggestions in the lineage of the version that they led to."""

import json
from contextlib import closing

import pytest
from click.testing import CliRunner

from sightline.cli import cli
from sightline.config.settings import settings_path
from sightline.data.git.commands import git
from sightline.data.repository.creation import add_annotations, init_repository
from sightline.data.suggestions.kept import ReviewSummary, summary_in
from sightline.data.tags import DatasetTag
from sightline.database import ImageRecord, VersionRecord, open_database
from tests.labelled_folder import names, write_images

SUMMARY = ReviewSummary("pets_ann_v1", "5f" * 32, {"accepted": {"wrong class": 15}, "rejected": {"missing": 2}}, 3)


@pytest.fixture
def url(tmp_path):
    """A database with a version of a data repository that decisions led to."""
    init_repository(tmp_path / "data", str(tmp_path / "remote"))
    write_images(tmp_path / "photos", names(3))
    tag = DatasetTag.parse("pets_ann_v2")
    added = add_annotations(tmp_path / "data", tmp_path / "photos", tag, details=SUMMARY.message)
    settings_path().write_text(f"data: {{repository: '{tmp_path}/data'}}\n")
    address = f"sqlite:///{tmp_path}/x.sqlite"
    with closing(open_database(address)) as database:
        record = VersionRecord("pets", "v2", "annotations", str(tag), added.commit, "d" * 32)
        database.register_version(record, [ImageRecord("", "annotations/pets/000.jpg", "e" * 64, 20, 64, 48)], [])
    return address


def run(*arguments):
    result = CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_lineage_tells_what_people_decided(url, tmp_path):
    told = "suggestions of model 5f5f5f5f5f5f for pets_ann_v1: 15 accepted (15 wrong class), 2 rejected (2 missing)"
    assert told in " ".join(run("lineage", "pets_ann_v2", "--url", url).split())
    (version,) = json.loads(run("lineage", "pets_ann_v2", "--url", url, "--json"))["annotations"]
    assert version["suggestions"] == {"for": "pets_ann_v1", "model": "5f" * 32} | SUMMARY.counts


@pytest.mark.parametrize("repository", ["nowhere", "other"])
def test_lineage_is_shown_without_the_data_repository(url, tmp_path, repository):
    if repository == "other":
        init_repository(tmp_path / "other", str(tmp_path / "second"))
        write_images(tmp_path / "photos", names(4))
        add_annotations(tmp_path / "other", tmp_path / "photos", DatasetTag.parse("pets_ann_v2"))
    settings_path().write_text(f"data: {{repository: '{tmp_path / repository}'}}\n")
    shown = run("lineage", "pets_ann_v2", "--url", url)
    assert "pets_ann_v2" in shown
    assert "suggestions" not in shown


def test_the_commit_reads_well_for_people_and_other_releases(url, tmp_path):
    said = git("show", "-s", "--format=%B", "pets_ann_v2", cwd=tmp_path / "data", timeout_seconds=60.0)
    assert said.splitlines()[0] == "Add pets v2: 6 annotation files and images"
    assert "15 accepted (15 wrong class), 2 rejected (2 missing). Left out: 3 new images without a decision." in said
    assert summary_in(said) == SUMMARY


@pytest.mark.parametrize("message", [
    "Add pets v1: 6 files", "", "Sightline-Suggestions: {", 'Sightline-Suggestions: {"format": 9, "base": "a"}',
])  # fmt: skip
def test_other_commits_have_no_decisions(message):
    assert summary_in(message) is None
