"""What the images promise, read from their recipe; `make images` builds them and imports every step in them."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "dockerfiles/Dockerfile"
LABELS = ("title", "version", "revision", "source", "created", "base.name", "licenses")


def stages():
    """Instructions by stage, continued lines joined, comments gone."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found, name = {"": []}, ""
    for instruction in filter(str.strip, text.splitlines()):
        start = re.fullmatch(r"FROM (\S+) AS (\S+)", instruction)
        if start:
            name = start[2]
            found[name] = []
        found[name].append(instruction)
    return found


def runtime(stage):
    """The instructions of a stage and of those it stands on, in order."""
    known = stages()
    parent = known[stage][0].split()[1]
    return (runtime(parent) if parent in known else []) + known[stage][1:]


@pytest.mark.parametrize("image", ["base", "train"])
def test_an_image_runs_as_a_user_and_is_labelled(image):
    instructions = runtime(image)
    assert instructions.count("USER 1000:1000") == 1
    label = next(line for line in instructions if line.startswith("LABEL"))
    assert all(f"org.opencontainers.image.{name}=" in label for name in LABELS)
    arguments = {line.removeprefix("ARG ").partition("=")[0] for line in instructions if line.startswith("ARG")}
    assert {"VERSION", "REVISION", "SOURCE", "CREATED", "PYTHON_IMAGE"} <= arguments


@pytest.mark.parametrize("image", ["base", "train"])
def test_nothing_of_the_build_reaches_an_image_but_what_is_copied(image):
    copied = {line.split()[1] for line in runtime(image) if line.startswith("COPY")}
    assert copied == {f"--from={stage}" for stage in ("dependencies", "package", f"{image}-contents")} | (
        {"--from=torch"} if image == "train" else set()
    )


@pytest.mark.parametrize("image", ["base", "train"])
def test_what_changes_daily_is_the_last_layer(image):
    copies = [line.split()[1] for line in runtime(image) if line.startswith("COPY")]
    assert copies[0] == "--from=dependencies"
    assert copies[-1] == "--from=package"


def test_the_base_image_alone_can_be_built_without_torch():
    order = list(stages())
    assert order.index("base") < order.index("torch")  # engines that build every stage up to the one that is asked for
    assert not any("--from=torch" in line for line in runtime("base"))


def test_whatever_is_not_asked_for_stays_out_of_the_build():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    for instructions in stages().values():
        for line in instructions:
            if line.startswith("COPY") and "--from" not in line:
                for source in line.split()[1:-1]:
                    assert any(Path(source).match(pattern) for pattern in allowed), source


def test_requirements_are_those_of_the_project(tmp_path):
    for name in ("dockerfiles/requirements.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    command = [sys.executable, tmp_path / "requirements.py", "gcs", "mysql"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert done.stdout.splitlines() == [*project["dependencies"], *extras["gcs"], *extras["mysql"]]


def test_what_only_a_gpu_uses_is_removed_and_what_torch_is_linked_with_stays(tmp_path):
    packages = tmp_path / "lib/python3.11/site-packages"
    gone = ["triton/_C/libtriton.so", "nvidia/cudnn/lib/libcudnn_adv.so.9", "torch/include/a.h"]
    stay = [
        "nvidia/cudnn/lib/libcudnn.so.9",
        "nvidia/cu13/lib/libcublas.so.13",
        "torch/lib/libtorch_cpu.so",
        "torch/bin/torch_shm_manager",
    ]
    for name in gone + stay:
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_bytes(b"x" * 2**20)
    command = [sys.executable, ROOT / "dockerfiles/without_gpu.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "without what only a GPU uses: 3 MiB less\n"
    assert {str(path.relative_to(packages)) for path in packages.rglob("*") if path.is_file()} == set(stay)


def build(*arguments, **environment):
    command = [shutil.which("bash"), ROOT / "dockerfiles/build.sh", *arguments]
    settings = re.findall(r"^#   ([A-Z_]+) ", (ROOT / "dockerfiles/build.sh").read_text(), re.MULTILINE)
    inherited = {name: value for name, value in os.environ.items() if name not in settings}
    return subprocess.run(command, env={**inherited, **environment}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("asked", "tried"), [({}, "tried docker podman buildah: install one"), ({"ENGINE": "nerdctl"}, "tried nerdctl: ")]
)
def test_without_an_engine_the_build_says_what_to_install(tmp_path, asked, tried):
    for program in ("bash", "dirname", "sed", "git", "mkdir"):
        (tmp_path / program).symlink_to(shutil.which(program))
    done = build("sightline", "1", "base", PATH=str(tmp_path), **asked)
    assert done.returncode == 1
    assert f"no program that builds images works on this machine; {tried}" in done.stderr


def test_an_unknown_image_is_refused_with_the_choices(tmp_path):
    engine = tmp_path / "podman"
    engine.write_text("#!/bin/sh\necho podman\n")
    engine.chmod(0o755)
    done = build("sightline", "1", "bass", PATH=f"{tmp_path}:{os.environ['PATH']}", ENGINE="podman")
    assert done.returncode == 1
    assert "no image bass: expected base, train or train-cpu" in done.stderr


def test_the_list_of_contents_names_the_packages_of_the_system(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "dockerfiles"))
    import contents

    there = "Package: git\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2.39\nDescription: a\n b: c\n"
    gone = "Package: vim\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n"
    (package,) = contents.debian_packages(f"{there}\n{gone}")
    assert package["purl"] == "pkg:deb/debian/git@1%3A2.39?arch=amd64"
