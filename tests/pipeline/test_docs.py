"""What the pages tell people to type is understood by ``pipeline.py``; what they link to is there."""

import re
import shlex
from pathlib import Path

import click
import pytest

import pipeline

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/python.md", "docs/kubeflow.md", "docs/production.md", "manifests/README.md"]


def command_lines():
    """Page and words of each ``python pipeline.py ...``, in a block of code or in backquotes within a paragraph."""
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
        paragraphs = re.sub(r"```.*?```", "", text, flags=re.DOTALL).split("\n\n")
        lines = "\n".join(re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)).splitlines()
        lines += [code for one in paragraphs for code in re.findall(r"`([^`]+)`", " ".join(one.split()))]
        for line in lines:
            found = re.match(r"(?:.*\s)?python pipeline\.py (.*)", line)
            if found:
                yield page, tuple(shlex.split(found[1].removesuffix(" ..."), comments=True))


def complaint(words):
    """What the command line is refused with, before anything is done; empty where it is understood."""
    command, rest = pipeline.cli, list(words)
    try:
        while isinstance(command, click.Group):
            _, command, rest = command.resolve_command(click.Context(command), rest)
        command.make_context(command.name, rest)
    except click.UsageError as error:
        return error.format_message()
    return ""


@pytest.mark.parametrize(("page", "words"), sorted(set(command_lines())), ids=str)
def test_commands_of_the_pages_are_understood(page, words):
    assert not complaint(words), page


def test_a_slip_of_the_pen_would_be_seen():
    assert len([words for page, words in command_lines() if page == "docs/kubeflow.md"]) > 20
    assert "--wach" in complaint(("status", "--wach"))
    assert "'ad'" in complaint(("schedule", "ad"))


def test_every_parameter_of_the_pipeline_is_explained():
    text = (ROOT / "docs" / "kubeflow.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE))))
    others = pipeline.build().component_spec.inputs.keys() - explained
    assert others == {"dataset_tag", "recipe", "overrides", "code_rev"}


@pytest.mark.parametrize("page", PAGES)
def test_links_of_the_pages_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text(encoding="utf-8"))
    assert not [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]
