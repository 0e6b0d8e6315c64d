"""The example of docs/tools.md, run line by line."""

import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from sightline.cli import cli
from sightline.cli.dataset import COMMANDS

DOCS = Path(__file__).parents[1] / "docs" / "tools.md"


def test_the_commands_of_the_example_work_in_their_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.DOTALL)
    lines = block.splitlines()
    assert {line.split()[2] for line in lines if line.startswith("sightline dataset")} == set(COMMANDS)
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "sightline"
        result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert result.exit_code == 0, f"{line}\n{result.output}"
    assert len(list((tmp_path / "renamed").glob("*.jpg"))) == 21  # half of each label, rounded
    assert len(list((tmp_path / "original-names").iterdir())) == 42


def test_every_command_is_described():
    text = DOCS.read_text()
    assert set(re.findall(r"^\| `(\w+) ", text, re.MULTILINE)) >= set(COMMANDS)
