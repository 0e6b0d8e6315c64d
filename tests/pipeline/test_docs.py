"""What the pages tell people to type is understood by the two programs; what they link to is there."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import click
import pytest

import pipeline
from sightline.cli import cli as sightline_cli

ROOT = Path(__file__).parents[2]
DOCS = "architecture extending python training evaluation tasks formats tools kubeflow production labelme"
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{name}.md" for name in DOCS.split()),
    "manifests/README.md",
]
PROGRAMS = {"python pipeline.py": pipeline.cli, "sightline": sightline_cli}
COMMAND = re.compile(r'(?:[^"]*\s)?(python pipeline\.py|sightline) ([a-z-]+[^;]*?)(?:;|"\]|$)')
"""A command, perhaps with variables in front, or as a line of a script in a manifest."""


def command_lines():
    """Page, program and words of each command, in a block of code or in backquotes within a paragraph."""
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
        paragraphs = re.sub(r"```.*?```", "", text, flags=re.DOTALL).split("\n\n")
        lines = "\n".join(re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)).splitlines()
        lines += [code for one in paragraphs for code in re.findall(r"`([^`]+)`", " ".join(one.split()))]
        for line in lines:
            found = COMMAND.match(line)
            if found:
                yield page, found[1], tuple(shlex.split(found[2].removesuffix(" ..."), comments=True))


def complaint(words, program="python pipeline.py"):
    """What the command line is refused with, before anything is done; empty where it is understood."""
    command, rest = PROGRAMS[program], list(words)
    try:
        while isinstance(command, click.Group):
            if not rest:
                return ""  # a sentence that speaks of a group of commands
            _, command, rest = command.resolve_command(click.Context(command), rest)
        command.make_context(command.name, list(rest))
    except click.UsageError as error:
        named_only = isinstance(error, click.MissingParameter) and not rest  # a sentence that speaks of a command
        return "" if named_only else error.format_message()
    return ""


@pytest.mark.parametrize(("page", "program", "words"), sorted(set(command_lines())), ids=str)
def test_commands_of_the_pages_are_understood(page, program, words):
    assert not complaint(words, program), page


def test_a_slip_of_the_pen_would_be_seen():
    assert len([words for page, _, words in command_lines() if page == "docs/kubeflow.md"]) > 20
    assert "--wach" in complaint(("status", "--wach"))
    assert "'ad'" in complaint(("schedule", "ad"))
    assert "--yse" in complaint(("gc", "--yse"), "sightline")
    assert "--remote" in complaint(("data", "init", "there"), "sightline")


@pytest.mark.parametrize(
    "task", ["instance_segmentation", "object_detection", "keypoints", "classification", "multi_label"]
)
def test_what_the_demo_prints_to_paste_changes_nothing_in_the_shell(task):
    asked = ["make", "--just-print", "--no-print-directory", "demo", f"TASK={task}"]
    made = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    said = subprocess.run(
        ["sh", "-c", made[made.rindex("printf ") :]], capture_output=True, text=True, check=True
    ).stdout
    lines = [shlex.split(line) for line in said.splitlines() if line.startswith("  ")]
    assert [words[1].rpartition("/")[2] for words in lines] == ["sightline", "sightline"]
    for home, _, *words in lines:
        assert home.startswith("SIGHTLINE_HOME=/")
        assert not complaint(words, "sightline")


def test_every_parameter_of_the_pipeline_is_explained():
    text = (ROOT / "docs" / "kubeflow.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE))))
    others = pipeline.build().component_spec.inputs.keys() - explained
    assert others == {"dataset_tag", "recipe", "overrides", "code_rev"}


@pytest.mark.parametrize("page", PAGES)
def test_links_of_the_pages_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text(encoding="utf-8"))
    assert not [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_to_headings_lead_to_one(page):
    links = re.findall(r"\]\(([^)#:]*)#([^)]*)\)", (ROOT / page).read_text(encoding="utf-8"))
    pages = {path: (ROOT / page).parent / path if path else ROOT / page for path, _ in links}
    assert not [(path, name) for path, name in links if name not in anchors(pages[path].read_text(encoding="utf-8"))]


def test_the_floors_of_the_page_are_those_that_import_linter_checks():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = [one for one in project["tool"]["importlinter"]["contracts"] if one["type"] == "layers"]
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (floors,) = re.findall(r"^```\ncli\n.*?^```$", page, re.DOTALL | re.MULTILINE)
    assert floors.splitlines()[1:-1] == [layer.replace("sightline.", "") for layer in contract["layers"]]
    described = {
        name for row in re.findall(r"^\| (`\w+`[^|]*) \|", page, re.MULTILINE) for name in re.findall(r"\w+", row)
    }
    assert {path.parent.name for path in (ROOT / "shared" / "sightline").glob("*/__init__.py")} <= described


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/extending.md", "CONTRIBUTING.md"])
def test_files_that_a_page_for_developers_names_are_there(page):
    text = re.sub(r"```.*?```|New file `[^`]*`", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    named = re.findall(r"`([\w./-]+(?:\.(?:py|toml|txt|yaml|md|svg)|/))`", text)
    folders = (
        "",
        "shared",
        "shared/sightline",
        "shared/sightline/data",
        "shared/sightline/kubeflow",
        "shared/sightline/tasks/object_detection",
        "components/train",
    )
    assert len(named) > 5
    assert not [name for name in named if not any((ROOT / folder / name).exists() for folder in folders)]


def test_the_map_of_the_data_names_every_task_of_the_graph():
    from sightline.runs.step_table import BY_NAME

    drawn = (ROOT / "docs" / "images" / "data-way.svg").read_text(encoding="utf-8")
    assert re.findall(r'class="name"[^>]*>(\w+)<', drawn) == list(BY_NAME)
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| task | reads |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| (\w+) \|", table, re.MULTILINE) == list(BY_NAME)
