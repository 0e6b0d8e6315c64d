"""List what an image holds, as CycloneDX: ``contents.py OUTPUT.json DPKG_STATUS PREFIX...``.

Python packages by cyclonedx-py: those of /opt/venv and of the prefixes that an image adds to it; the system's packages
from dpkg's status file.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote


def python_packages(prefixes: list[Path]) -> dict[str, list[object]]:
    """The document of cyclonedx-py, which asks the environment's interpreter where its packages are."""
    places = [str(place) for prefix in prefixes for place in prefix.glob("lib/python3.*/site-packages")]
    command = ["/opt/sbom/bin/cyclonedx-py", "environment", "--output-reproducible", "/opt/venv/bin/python"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    listed = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(listed.stdout)  # noqa: TID251 (no Sightline here)


def debian_packages(status: str) -> list[dict[str, str]]:
    """The installed packages of dpkg's status file, as CycloneDX components."""
    components = []
    for paragraph in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status") != "install ok installed":
            continue
        name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
        purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}"
        components.append({"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl})
    return components


def main() -> None:
    """Write the whole list."""
    output, status, *prefixes = map(Path, sys.argv[1:])
    document = python_packages(prefixes)
    document["components"] += debian_packages(status.read_text(encoding="utf-8"))
    output.write_text(json.dumps(document, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
