"""How the commands start, fail and end."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from sightline.cli import COMMANDS, cli, run_cli
from sightline.errors import DataError

ROOT = Path(__file__).parents[2]


def test_help_lists_every_command_without_importing_torch():
    script = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from sightline.cli import cli\n"
        "print(CliRunner().invoke(cli, ['--help']).output)\n"
        "assert not {'torch', 'matplotlib', 'sqlalchemy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_says_what_it_is_for(name):
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_an_unknown_command_is_refused():
    result = CliRunner().invoke(cli, ["modle"])
    assert result.exit_code == 2
    assert "modle" in result.output


@pytest.fixture(autouse=True)
def no_arguments(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["command"])


def ending(error, capsys):
    """Exit code and standard error of a command that raises ``error``."""

    @click.command()
    def command():
        raise error

    with pytest.raises(SystemExit) as ended:
        run_cli(command)
    return ended.value.code, capsys.readouterr().err


def test_an_error_for_the_user_is_one_message_without_traceback(capsys):
    assert ending(DataError("a.json: no shapes; label it"), capsys) == (1, "error: a.json: no shapes; label it\n")


def test_ctrl_c_says_how_to_go_on(capsys):
    code, text = ending(KeyboardInterrupt(), capsys)
    assert code == 130
    assert "run the same command to resume" in text


def test_a_full_disk_names_the_path(capsys):
    code, text = ending(OSError(28, "No space left on device", "/volume/a"), capsys)
    assert (code, text) == (
        1,
        "error: /volume/a: No space left on device; free space or fix the permissions, then try again\n",
    )


def test_a_command_that_exits_keeps_its_code():
    @click.command()
    @click.pass_context
    def command(context):
        context.exit(3)

    with pytest.raises(SystemExit) as ended:
        run_cli(command)
    assert ended.value.code == 3


def test_an_error_of_ours_is_not_hidden():
    @click.command()
    def command():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_cli(command)


def test_usage_errors_exit_with_2(capsys):
    code, text = ending(click.UsageError("no such option"), capsys)
    assert code == 2
    assert "no such option" in text


def test_config_show_prints_what_a_run_would_use():
    result = CliRunner().invoke(cli, ["config", "show", "plates", "--set", "train.iterations=7"])
    document = yaml.safe_load(result.output)
    assert document["train"]["iterations"] == 7
    assert document["reading"] == "plates"


def test_config_check_accepts_or_lists_every_fault():
    assert CliRunner().invoke(cli, ["config", "check", "plates"]).output == "plates: no errors\n"
    result = CliRunner().invoke(cli, ["config", "check", "plates", "--set", "seed=-1", "--set", "train.x=1"])
    assert result.exit_code == 1
    assert "seed: -1" in str(result.exception)
    assert "train.x: unknown key 'x'" in str(result.exception)


def test_config_list_names_the_recipes():
    lines = CliRunner().invoke(cli, ["config", "list"]).output.splitlines()
    assert [line.split()[0] for line in lines] == [
        "classification", "classification_small", "faces", "figures", "instance_segmentation",
        "instance_segmentation_small", "keypoints", "keypoints_small", "object_detection", "object_detection_plates",
        "object_detection_small", "plates", "plates_swin", "tyres",
    ]  # fmt: skip


@pytest.mark.parametrize(("arguments", "quoted"), [
    (["--set", "data.classes=[cat,", "dog]"], "'data.classes=[cat, dog]'"),
    (["--set=data.classes=[cat,", "big", "dog]"], "'data.classes=[cat, big dog]'"),
    (["--set", "data.jobs=2", "--set", "data.aliases={a:", "b}"], "'data.aliases={a: b}'"),
    (["--set", "data.classes=[cat]", "more"], ""),
    (["--set", "data.classes=[cat", "more"], ""),
])  # fmt: skip
def test_a_list_that_the_shell_took_apart_is_shown_in_quotes(arguments, quoted):
    for program in (["-m", "sightline", "config", "check", "plates"], ["pipeline.py", "run", "--local"]):
        done = subprocess.run(
            [sys.executable, *program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2 or not quoted
        assert (f"--set {quoted}\n" in done.stderr) == bool(quoted)
        assert ("Quote a value" in done.stderr) == bool(quoted)
