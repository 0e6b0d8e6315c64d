"""component.yaml and README.md of every component: current, and of use to a pipeline that is not ours."""

import subprocess
import sys
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
