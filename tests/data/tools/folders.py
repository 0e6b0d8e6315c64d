"""Small generated datasets for the tests of the tools: class folders and labelme files."""

import hashlib
from pathlib import Path

from tests.labelled_folder import write_picture


def write_class_folders(root: Path, counts, suffix=".jpg") -> Path:
    """``{"crack": 5}`` makes crack/000.jpg to crack/004.jpg; every picture is another."""
    for label, count in counts.items():
        (root / label).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            write_picture(root / label / f"{number:03}{suffix}", seed=f"{label}{number}")
    return root


def tree(root: Path) -> dict[str, str]:
    """Relative path -> SHA-256 of every file."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
