"""``make policy``: what checkov finds is argued where it is, and nothing is argued that it does not find.

python -m tests.manifests.policy FOLDER-WITH-CHECKOV-AND-HADOLINT
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from tests.manifests.kustomize import MANIFESTS, OVERLAYS, build, with_everything

DOCKERFILE = MANIFESTS.parent / "dockerfiles/Dockerfile"


def argued(document):
    """The checks that a document's annotations answer, and the document without them."""
    annotations = document["metadata"].get("annotations", {})
    skips = [value for key, value in annotations.items() if key.startswith("checkov.io/skip")]
    document["metadata"]["annotations"] = {key: annotations[key] for key in annotations if "checkov" not in key} or None
    assert all(len(skip.partition("=")[2].split()) >= 5 for skip in skips), "say why, in a sentence"
    return {skip.partition("=")[0] for skip in skips}


def found(checkov, path, framework):
    """(resource, check) of whatever checkov calls a failure."""
    command = [checkov, "--file", path, "--framework", framework, "--output", "json", "--quiet", "--skip-download"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert not report["results"].get("parsing_errors"), report["results"]["parsing_errors"]
    assert report["summary"]["passed"] > 0, "checkov looked at nothing"
    return {(check["resource"], check["check_id"], check["check_name"]) for check in report["results"]["failed_checks"]}


def differences(checkov, folder, overlay):
    """What is found and not argued, and what is argued and not found, in an overlay with every component."""
    documents = build(with_everything(folder, overlay))
    answers = {
        (f"{document['kind']}.{document['metadata'].get('namespace')}.{document['metadata']['name']}", check)
        for document in documents
        for check in argued(document)
    }
    path = folder / "all.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    failures = found(checkov, path, "kubernetes")
    yield from (f"{resource}: {check} {name}" for resource, check, name in failures if (resource, check) not in answers)
    known = {(resource, check) for resource, check, _ in failures}
    yield from (
        f"{resource}: {check} is justified, but checkov does not report it" for resource, check in answers - known
    )


def main():
    tools = Path(sys.argv[1])
    faults = []
    for overlay in OVERLAYS:
        with tempfile.TemporaryDirectory() as folder:
            faults += [f"{overlay}: {fault}" for fault in sorted(differences(tools / "checkov", Path(folder), overlay))]
    faults += [f"Dockerfile: {check} {name}" for _, check, name in found(tools / "checkov", DOCKERFILE, "dockerfile")]
    linted = subprocess.run([tools / "hadolint", DOCKERFILE], capture_output=True, text=True, check=False)
    faults += linted.stdout.splitlines() + linted.stderr.splitlines()
    if faults:
        sys.exit("\n".join(faults))
    names = ", ".join(OVERLAYS)
    sys.stdout.write(f"checkov: no unjustified findings in {names} and the Dockerfile; hadolint: clean\n")


if __name__ == "__main__":
    main()
