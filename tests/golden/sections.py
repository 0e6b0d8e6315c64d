"""A golden file: texts under the names of the tests that produce them, in the order of the names."""

from pathlib import Path

MARK = "== "


def read_sections(path: Path) -> dict[str, str]:
    """The texts of the file by heading; none where there is no file."""
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        if line.startswith(MARK):
            lines = sections.setdefault(line.removeprefix(MARK), [])
        else:
            lines.append(line)
    return {heading: "\n".join(lines).strip("\n") for heading, lines in sections.items()}


def write_section(path: Path, heading: str, text: str) -> None:
    """Add or replace one text; nothing is written where it is there already."""
    sections = read_sections(path)
    if sections.get(heading) == text:
        return
    sections[heading] = text
    written = "\n".join(f"{MARK}{name}\n{sections[name]}\n" for name in sorted(sections))
    path.write_text(written, encoding="utf-8")
