"""The reference of the configuration: complete, current, and a recipe again."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from sightline.cli import cli
from sightline.config.decode import decode, recipe_names, recipe_summary
from sightline.config.reference import keys, markdown
from sightline.config.schema import Config
from tests.config.test_decode import needed_by

ROOT = Path(__file__).parents[2]


def paths(document, path=""):
    for name, value in document.items():
        where = f"{path}.{name}".lstrip(".")
        if isinstance(value, dict):
            yield from paths(value, where)
        else:
            yield where


def test_every_key_has_a_meaning_and_a_range():
    for key in keys():
        assert key.meaning, key.path
        assert key.values, key.path


def test_it_holds_every_key_of_a_configuration():
    shown = {key.path for key in keys()}
    config = decode("plates").model_dump(mode="json")
    assert {path for path in paths(config) if not any(path.startswith(f"{one}.") for one in shown)} <= shown


def test_docs_configuration_is_current():
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == markdown(), (
        "run: sightline config reference > docs/configuration.md"
    )


def test_ranges_defaults_and_choices_are_those_of_the_schema():
    known = {key.path: key for key in keys()}
    assert (known["train.iterations"].values, known["train.iterations"].default) == ("whole number, > 0", "10000")
    assert known["seed"].values == "whole number, >= 0, < 4294967296"
    assert known["data.faults.outside_image"].values == "error | drop | clip"
    assert known["model.score_threshold"].values == "number, 0 to 1"
    assert known["data.classes"].default == ""


@pytest.mark.parametrize("recipe", recipe_names())
def test_a_described_configuration_is_that_configuration(recipe):
    needed = needed_by(recipe)
    own = ["data.classes=[cat, 'no', '1']", *needed[1:]] if needed else []
    arguments = ["config", "show", recipe, *(part for one in [*own, "seed=3"] for part in ("--set", one))]
    plain, described = (CliRunner().invoke(cli, [*arguments, *more]).output for more in ([], ["--describe"]))
    assert yaml.safe_load(described) == yaml.safe_load(plain)
    classes = Config.model_validate(yaml.safe_load(described)).data.classes
    assert not own or classes == ("cat", "no", "1")
    assert "# Optimizer steps in total (whole number, > 0; default 10000)" in described


def test_every_recipe_says_what_it_is_for():
    listed = CliRunner().invoke(cli, ["config", "list"]).output
    for name in recipe_names():
        assert len(recipe_summary(name)) > 20
        assert recipe_summary(name) in listed
