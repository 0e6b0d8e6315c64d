"""The files beside every component: current, true, and of use to a pipeline that is not ours."""

import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from kfp import compiler, dsl

import pipeline
from components import catalogue

ROOT = Path(__file__).parents[2]


def test_every_component_is_in_the_catalogue():
    assert {path.parent.name for path in ROOT.glob("components/*/component.py")} == set(catalogue.NAMES)


def test_the_files_are_current():
    result = CliRunner().invoke(pipeline.cli, ["components", "--check"])
    assert result.exit_code == 0, result.output


def test_a_file_that_is_not_current_is_named_and_mended(tmp_path, monkeypatch):
    stale = tmp_path / "record" / "README.md"
    stale.parent.mkdir()
    stale.write_text("old")
    monkeypatch.setattr(catalogue, "files", lambda: iter([(stale, "new")]))
    monkeypatch.setattr(pipeline, "ROOT", tmp_path)
    result = CliRunner().invoke(pipeline.cli, ["components", "--check"])
    assert result.exit_code == 1
    assert "record/README.md: out of date; run python pipeline.py components" in result.output
    assert stale.read_text() == "old"
    assert "1 files written" in CliRunner().invoke(pipeline.cli, ["components"]).output
    assert stale.read_text() == "new"


def constraint(distribution):
    """The version in constraints.txt."""
    (found,) = re.findall(rf"^{re.escape(distribution)}==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    return found


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_the_metadata_has_the_fields_of_kubeflows_own_repository_of_components(name):
    document = yaml.safe_load((ROOT / "components" / name / "metadata.yaml").read_text())
    assert {"name", "stability", "dependencies", "lastVerified"} <= set(document)
    assert set(document) <= {"name", "stability", "dependencies", "lastVerified", "tags", "ci", "links", "description"}
    assert document["name"] == name
    assert document["stability"] in {"alpha", "beta", "stable"}
    assert set(document["dependencies"]) <= {"kubeflow", "external_services"}
    assert "Pipelines" in [one["name"] for one in document["dependencies"]["kubeflow"]]
    entries = [one for group in document["dependencies"].values() for one in group]
    assert all(re.fullmatch(r"(==|>=|<=|~=)?\d+\.\d+\.\d+", one["version"]) for one in entries), entries
    assert document["tags"]
    assert all(re.fullmatch(r"[a-z0-9-]+", tag) for tag in document["tags"])
    assert document["lastVerified"] <= datetime.now(UTC)
    assert all((ROOT / "components" / name / page).is_file() for page in document["links"].values())


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_the_metadata_is_true(name):
    groups = yaml.safe_load((ROOT / "components" / name / "metadata.yaml").read_text())["dependencies"]
    needed = {one["name"]: one["version"] for group in groups.values() for one in group}
    for distribution in ("kfp", "kfp-kubernetes"):
        assert needed[distribution] == f"=={constraint(distribution)}"
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["kfp"]
        assert f"{distribution}{needed[distribution]}" in extras
    compiled = yaml.safe_load((ROOT / "components" / name / "component.yaml").read_text())
    assert compiled["sdkVersion"] == needed["kfp"].replace("==", "kfp-")
    tested = re.search(r"tested with ([\d.]+)", (ROOT / "docs" / "kubeflow.md").read_text())[1]
    assert needed["Pipelines"] == f">={tested}"
    oldest = re.search(r"MySQL ([\d.]+) or MariaDB", (ROOT / "docs" / "production.md").read_text())[1]
    assert needed["MySQL"].startswith(f">={oldest}.")


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_every_input_and_output_is_explained(name):
    page = (ROOT / "components" / name / "README.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    specification = yaml.safe_load((ROOT / "components" / name / "component.yaml").read_text())["components"]
    found = next(iter(specification.values()))
    outputs = found["outputDefinitions"]
    names = {*found["inputDefinitions"]["parameters"], *outputs.get("parameters", {}), *outputs.get("artifacts", {})}
    assert {row.split("`")[1] for row in rows} == names - {"status"}
    assert all(len(row.rstrip(" |").rpartition("| ")[2]) > 5 for row in rows)


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_the_example_of_a_readme_compiles(name, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    page = (ROOT / "components" / name / "README.md").read_text()
    code = page.partition("```python\n")[2].partition("```")[0].replace("...  # every other task", "other()")
    (tmp_path / "example.py").write_text(code)

    @dsl.component(base_image="python:3.11")
    def other():
        pass

    names = {"other": other}
    exec(compile(code, tmp_path / "example.py", "exec"), names)
    compiler.Compiler().compile(names["mine"], str(tmp_path / "x.yaml"))
    assert name in yaml.safe_load((tmp_path / "x.yaml").read_text())["root"]["dag"]["tasks"]


def test_the_example_pipeline_compiles_without_our_package_on_the_path(tmp_path):
    example = ROOT / "examples" / "record_and_evaluate.py"
    subprocess.run([sys.executable, str(example)], cwd=tmp_path, check=True, env={"PATH": "/usr/bin:/bin"})
    found = yaml.safe_load_all((tmp_path / "record_and_evaluate.yaml").read_text())
    assert set(next(found)["root"]["dag"]["tasks"]) == {"record", "evaluate"}
