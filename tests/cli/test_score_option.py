"""Options that are a score take numbers from 0 to 1, and nothing else."""

import pytest
from click.testing import CliRunner

from sightline.cli import cli

COMMANDS = [
    ["model", "predict", "m.safetensors", "a.png", "--score"],
    ["model", "compare", "a.safetensors", "b.safetensors", "--tag", "cups_train_v1", "--score"],
    ["data", "suggest", "m.safetensors", "cups_ann_v1", "-o", "out", "--min-score"],
    ["dataset", "crop", ".", "out", "--size", "8x8", "--score"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))
@pytest.mark.parametrize("score", ["nan", "-0.1", "1.1", "inf", "x"])
def test_a_score_that_is_none_is_refused(command, score):
    result = CliRunner().invoke(cli, [*command, score])
    assert result.exit_code == 2
    assert command[-1] in result.stderr
    assert score in result.stderr


def test_one_file_for_page_and_table_is_refused(tmp_path):
    files = ["--html", str(tmp_path / "x"), "--csv", str(tmp_path / "x")]
    result = CliRunner().invoke(cli, ["model", "compare", "a", "b", "--tag", "cups_train_v1", *files])
    assert result.exit_code == 2
    assert str(tmp_path / "x") in result.stderr
