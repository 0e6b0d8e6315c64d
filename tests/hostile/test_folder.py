"""A folder in which nothing is in order: one run lists every fault, and takes little memory."""

import json
import subprocess
import sys

from tests.data.formats.labelme_folders import document, encoded, picture
from tests.data.formats.test_labelme_faults import FILES
from tests.hostile.test_images import REFUSED

MEASURE = """
import re, sys
from pathlib import Path
from sightline.cli import main

try:
    sys.exit(main())
finally:
    print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""

# imagePath of a file that is otherwise in order.
PATHS = [
    "../../../etc/passwd",
    "/etc/passwd",
    "C:\\a.jpg",
    "\\\\host\\a.jpg",
    "a\0.jpg",
    "out/a.jpg",
    ".",
    "d/../../a.jpg",
]


def test_check_lists_every_fault_of_a_folder_of_nothing_else(tmp_path):
    folder, outside = tmp_path / "photos", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "a.jpg").write_bytes(encoded(picture()))
    (folder / "out").symlink_to(outside)
    names = []
    for index, (content, _) in enumerate(FILES.values()):
        names.append(f"json-{index:02}.json")
        (folder / names[-1]).write_bytes(content)
    for index, (content, _) in enumerate(REFUSED.values()):
        names.append(f"image-{index:02}.json")
        (folder / f"image-{index:02}.jpg").write_bytes(content)
        (folder / names[-1]).write_text(json.dumps(document(imagePath=f"image-{index:02}.jpg")))
    (folder / "screen\x1b[2J.json").write_bytes(b"")
    for index, path in enumerate(PATHS):
        names.append(f"path-{index:02}.json")
        (folder / names[-1]).write_text(json.dumps(document(imagePath=path)))
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, "check", str(folder)], capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Traceback" not in output
    assert [name for name in names if name not in output] == []
    assert "\x1b" not in output
    assert f"{len(names) + 1} files" in output
    # Decoded, a single one of these bombs takes hundreds.
    assert int(done.stdout.split()[-1]) < 400
