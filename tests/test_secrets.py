"""Planted secrets: whatever is run, and however it fails, none is printed, logged, stored, drawn or passed on."""

import json
import logging
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import MetaData, select

from sightline.config.decode import decode
from sightline.data.repository.history import list_tags
from sightline.database import open_database
from sightline.database.engine import retry
from sightline.database.engine.connection import connect
from sightline.errors import SightlineError
from sightline.storage import open_storage
from tests.e2e.conftest import World
from tests.servers.mariadb import PASSWORD, new_database

CANARIES = {
    "SIGHTLINE_DATABASE_PASSWORD": PASSWORD,
    "SIGHTLINE_GIT_TOKEN": "canary-4c1d77",
    "AWS_SECRET_ACCESS_KEY": "canary-90ab12",
    "AZURE_STORAGE_KEY": "canary-77e0cd",
    "MLFLOW_TRACKING_PASSWORD": "canary-1f2e3d",
}
"""Environment variable -> secret, as Kubernetes hands them to a pod."""

KEY = "canary-b0b0b0"
TYPED = "canary-c4feba"
"""What a person types in the wrong place."""

KEY_FILE = {
    "type": "service_account",
    "project_id": "p",
    "private_key_id": KEY,
    "private_key": f"-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\n",
    "client_email": "sightline@p.iam.gserviceaccount.com",
    "client_id": "1",
    "token_uri": f"http://127.0.0.1:9/{KEY}",
}


class WatchedWorld(World):
    """A world with secrets in its environment, which keeps all that was printed and every command line."""

    def __init__(self, folder: Path, key_file: Path) -> None:
        super().__init__(folder)
        key_file.write_text(json.dumps(KEY_FILE))
        self.environment |= {**CANARIES, "GOOGLE_APPLICATION_CREDENTIALS": str(key_file)}
        self.printed: list[str] = []
        self.command_lines: set[str] = set()

    def _run(self, command: list[str], expect: int | None) -> str:
        with (
            subprocess.Popen(
                command,
                env=self.environment,
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process,
            self._watching(process.pid),
        ):
            output, _ = process.communicate(timeout=600)
        self.printed.append(output)
        assert expect is None or process.returncode == expect, output
        return output

    def fail(self, *commands: list[str]) -> None:
        """Commands that fail in a way that was thought of, without a traceback; at once, as they wait for servers."""
        with ThreadPoolExecutor(5) as pool:
            for output in pool.map(lambda arguments: self._run([sys.executable, *arguments], None), commands):
                assert "Traceback" not in output, output
                assert "rror" in output, output

    @contextmanager
    def _watching(self, pid: int):
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.05):
                try:
                    for child in psutil.Process(pid).children(recursive=True):
                        self.command_lines.add(" ".join(child.cmdline()))
                except psutil.Error:
                    continue

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def lose_patience(self) -> None:
        """Let every process give up a database that does not answer after a second instead of a minute and a half."""
        folder = self.folder.with_name("impatient")
        folder.mkdir()
        change = "from sightline.database.engine import retry; retry.RETRY_SECONDS = 1.0"
        (folder / "sitecustomize.py").write_text(f"{change}\n")
        self.environment["PYTHONPATH"] = f"{folder}{os.pathsep}{self.environment['PYTHONPATH']}"

    def everything(self) -> dict[str, bytes]:
        """All that was left anywhere, git's compressed objects included."""
        left = {"printed": "".join(self.printed).encode(), "command lines": "\n".join(self.command_lines).encode()}
        for path in self.folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                left[str(path.relative_to(self.folder))] = path.read_bytes()
        for git in [path for path in self.folder.rglob("objects") if (path.parent / "HEAD").is_file()]:
            command = ["git", "-C", str(git.parent), "cat-file", "--batch-all-objects", "--batch"]
            left[f"objects of {git.parent}"] = subprocess.run(command, check=True, capture_output=True).stdout
        return left


@pytest.fixture
def secrets_world(tmp_path):
    (tmp_path / "keys").mkdir()
    return WatchedWorld(tmp_path / "world", tmp_path / "keys" / "key.json")


def places(left: dict[str, bytes], *more: str) -> list[str]:
    """Where a canary sits."""
    canaries = [*CANARIES.values(), KEY, *more]
    return [f"{canary}: {name}" for name, content in left.items() for canary in canaries if canary.encode() in content]


def rows(url: str) -> bytes:
    """Every row of every table."""
    engine, metadata = connect(url), MetaData()
    metadata.reflect(engine)
    with engine.connect() as connection:
        found = [str(tuple(row)) for table in metadata.tables.values() for row in connection.execute(select(table))]
    engine.dispose()
    return "\n".join(found).encode()


@pytest.mark.slow
def test_a_whole_run_leaves_no_secret(secrets_world, mariadb_server):
    world = secrets_world
    with new_database(mariadb_server) as url:
        world.draw(images=24)
        world.publish("v1")
        world.sightline("db", "upgrade", "--url", url)
        world.run("plates_ann_v1", "--set", f"database.url={url}")
        world.pipeline("compile", "-o", str(world.folder / "pipeline.yaml"))
        world.sightline("config", "show", "plates", "--set", f"database.url={url}")
        world.sightline("data", "list")
        left = world.everything() | {"rows": rows(url)}
        assert len(left["rows"]) > 1000
        assert any("git" in line for line in world.command_lines)
        assert places(left) == []


@pytest.mark.slow
def test_commands_and_runs_that_fail_show_and_keep_no_secret(secrets_world):
    world = secrets_world
    world.lose_patience()
    url = f"https://me:{TYPED}@127.0.0.1:9/data.git"
    server = f"mysql+pymysql://me:{TYPED}@127.0.0.1:9/x"
    commands = (
        ["data", "list", "--repository", url],
        ["data", "list", "--repository", f"https://ghp_{TYPED}@127.0.0.1:9/data.git"],
        ["data", "list", "--repository", "http://127.0.0.1:9/data.git"],
        ["config", "show", "plates", "--set", f"data.repository={url}"],
        ["config", "show", "plates", "--set", f"database.url={server}"],
        ["config", "show", "plates", "--set", f"database.url=mysql+pymysql://me@h/x?password={TYPED}"],
        ["config", "show", "plates", "--set", url],
        ["db", "check", "--url", server],
        ["db", "check", "--url", "mysql+pymysql://me@127.0.0.1:9/x?connect_timeout=1"],
        ["model", "show", f"https://me:{TYPED}@127.0.0.1/model.safetensors"],
    )
    faults = (
        f"data.repository={url}",
        "data.repository=http://127.0.0.1:9/data.git",
        "database.url=mysql+pymysql://me@127.0.0.1:9/x",
        "storage.uri=gs://bucket/p",
    )
    pipeline = str(Path(__file__).parents[1] / "pipeline.py")
    runs = [[pipeline, *world.run_arguments("plates_ann_v1", "--set", fault)] for fault in faults]
    world.fail(*runs, *(["-m", "sightline", *arguments] for arguments in commands))
    assert world.runs()
    left = world.everything()
    assert "***@" in "".join(world.printed)
    assert places(left, TYPED) == []


def test_nothing_tells_a_secret_in_detail(secrets_world, monkeypatch, caplog):
    """The same inside one process: every logger at its most talkative, representations, causes of errors."""
    for name, value in secrets_world.environment.items():
        if name in CANARIES or name == "GOOGLE_APPLICATION_CREDENTIALS":
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.3)
    for name in ["", *logging.root.manager.loggerDict]:
        caplog.set_level(logging.DEBUG, logger=name)
    said = []
    url = "mysql+pymysql://me@127.0.0.1:9/x?connect_timeout=1"
    config = decode("plates", [f"database.url={url}", "data.repository=http://127.0.0.1:9/data.git"])
    said += [repr(config), config.model_dump_json()]
    engine = connect(url)
    said += [repr(engine), str(engine.url), repr(engine.url), repr(engine.pool)]

    def bucket():
        open_storage("gs://bucket/p").stat("a")

    for fail in (
        lambda: list_tags("http://127.0.0.1:9/data.git", 20),
        lambda: list_tags(f"https://me:{TYPED}@127.0.0.1:9/data.git", 20),
        lambda: decode("plates", [f"storage.uri=gs://me:{TYPED}@bucket"]),
        lambda: open_storage(f"https://me:{TYPED}@bucket"),
        lambda: connect(f"mysql+pymysql://me:{TYPED}@h/x"),
        lambda: open_database(url),
        bucket,
    ):
        with pytest.raises(SightlineError) as caught:
            fail()
        said.append(str(caught.value))
        cause = caught.value.__cause__
        while cause is not None:
            said.append(f"{cause!r}")
            cause = cause.__cause__
    assert places({"said": "\n".join(said).encode(), "log": caplog.text.encode()}, TYPED) == []
