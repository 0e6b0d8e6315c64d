"""``doctor``: shows what is missing, what that means, and the command that fixes it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from sightline.cli.kubeflow.options import connected, connection_options, json_option, print_json

if TYPE_CHECKING:
    from sightline.kubeflow.client.connection import Kubeflow
    from sightline.kubeflow.doctor.findings import Finding
    from sightline.kubeflow.runs.graph import Vertex

_COLOURS = {"ok": "green", "warning": "yellow", "fault": "red"}
_INDENT = 9
_WHERE = 6


def doctor_command(image: str, compiled: Callable[[], str]) -> click.Command:
    """Create the command.

    Args:
        image: Image of the tasks without torch.
        compiled: Compiles the pipeline.
    """

    @click.command("doctor")
    @click.option("--in-cluster", "inside", is_flag=True, help="Also check from a pod that uses the tasks' image.")
    @click.option(
        "--image", "asked", default="", help=f"Image of that pod; default: base_image of the profile, or {image}."
    )
    @json_option
    @connection_options
    def command(inside: bool, asked: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401
        """Check everything that a run needs.

        With --in-cluster, each line shows where it was checked: here, or in a pod. Exits with 1 if there is a fault.
        """
        from dataclasses import asdict

        with connected(options) as kubeflow:
            found = []
            chosen = asked or str(kubeflow.parameters.get("base_image") or image)
            for finding in _findings(kubeflow, chosen if inside else "", compiled):
                found.append(finding)
                if not as_json:
                    _echo(finding, finding.where if inside else "")
        if as_json:
            print_json([asdict(finding) for finding in found])
        faults = sum(finding.level == "fault" for finding in found)
        if not as_json:
            warnings = sum(finding.level == "warning" for finding in found)
            amounts = (_amount(faults, "fault"), _amount(warnings, "warning"))
            click.echo(f"{_amount(len(found), 'check')}: {', '.join(amounts)}")
        sys.exit(1 if faults else 0)

    return command


def _findings(kubeflow: Kubeflow, image: str, compiled: Callable[[], str]) -> Iterator[Finding]:
    from sightline.errors import SightlineError
    from sightline.kubeflow.doctor.checks import examine
    from sightline.kubeflow.doctor.findings import Finding, guarded
    from sightline.kubeflow.doctor.pod import examine_inside
    from sightline.kubeflow.runs.parameters import usual_graph

    graph: tuple[Vertex, ...] = ()
    try:
        graph = usual_graph(compiled(), kubeflow.parameters)
    except SightlineError as error:
        yield Finding("parameters", "fault", str(error), "fix parameters in the profile file")
    reached = True
    for finding in examine(kubeflow, graph):
        reached = reached and not (finding.check == "cluster" and finding.level == "fault")
        yield finding
    cluster = kubeflow.cluster
    if image and cluster is not None and reached:
        given = (image, kubeflow.service_account, kubeflow.parameters)
        for finding in guarded("pod", lambda: examine_inside(cluster, *given), "kubectl get events"):
            yield finding.in_pod()


def _amount(number: int, noun: str) -> str:
    return f"{number} {noun}{'s'[: number != 1]}"


def _echo(finding: Finding, where: str) -> None:
    import textwrap

    from sightline.report.terminal import terminal

    indent = _INDENT + (_WHERE if where else 0)
    text = f"{'':{indent}}{finding.check}: {finding.text}"
    wrapper = textwrap.TextWrapper(terminal().width, subsequent_indent=" " * indent)
    wrapper.break_long_words = wrapper.break_on_hyphens = False  # addresses and names are not split
    said = f"{where:<{indent - _INDENT}}" + wrapper.fill(text)[indent:]
    click.echo(click.style(f"{finding.level:<{_INDENT}}", fg=_COLOURS[finding.level]) + said)
    if finding.remedy and finding.level != "ok":  # on one line, so that it can be copied
        click.echo(f"{'':{indent}}-> {finding.remedy}")
