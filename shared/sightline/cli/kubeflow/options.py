"""Options that the commands for Kubeflow share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from sightline.kubeflow.client.connection import Kubeflow
    from sightline.kubeflow.runs.lookup import Run

Function = TypeVar("Function", bound=Callable[..., Any])

_CONNECTION = (
    ("host", "URL", "Address of the pipelines API; KFP_HOST."),
    ("namespace", "NAME", "Namespace of runs and pods; KFP_NAMESPACE."),
    ("dashboard", "URL", "Dashboard to link to, not the API; SIGHTLINE_DASHBOARD."),
    ("token-file", "FILE", "File with a bearer token, read for each request; KFP_TOKEN_FILE."),
    ("cookie-file", "FILE", "File with a session cookie, name=value; KFP_COOKIE_FILE."),
    ("ca-file", "FILE", "CA bundle to verify the API host (PEM); KFP_CA_FILE."),
    ("kubeconfig", "FILE", "Kubeconfig of the cluster; KUBECONFIG."),
    ("context", "NAME", "Context of the kubeconfig; KUBE_CONTEXT."),
    ("service-account", "NAME", "Service account of the pods of new runs; KFP_SERVICE_ACCOUNT."),
)

set_option = click.option(
    "--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Change the recipe; repeatable."
)

CONNECTION_NAMES = ("profile", *(name.replace("-", "_") for name, _, _ in _CONNECTION), "port_forward")


def connection_options(function: Function) -> Function:
    """--host, --namespace, ...; the function passes them on to :func:`connected`."""
    options = [
        click.option("--profile", default="", metavar="NAME", help="Section of ~/.sightline/kubeflow.yaml."),
        *(click.option(f"--{name}", default="", metavar=metavar, help=text) for name, metavar, text in _CONNECTION),
        click.option("--port-forward", is_flag=True, help="Reach the API through kubectl port-forward."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@contextmanager
def connected(options: dict[str, Any], otherwise: str = "") -> Iterator[Kubeflow]:
    """The Kubeflow connection given by the options of :func:`connection_options`.

    Args:
        options: Options of the command.
        otherwise: What to do without a Kubeflow, for the error message.
    """
    from sightline.errors import NoKubeflowError
    from sightline.kubeflow.client.connection import connect
    from sightline.kubeflow.client.profile import find_profile
    from sightline.logs import configure_logging

    configure_logging()
    given = {name: options[name] for name in CONNECTION_NAMES if name != "profile"}
    profile = find_profile(given, options["profile"])
    with ExitStack() as stack:
        try:
            kubeflow = stack.enter_context(connect(profile))
        except NoKubeflowError as error:
            raise NoKubeflowError(f"{error}; {otherwise}" if otherwise else str(error)) from error
        yield kubeflow


def echo_link(link: str) -> None:
    """Print the dashboard link of a run on one line, even in a narrow terminal."""
    click.echo(f"dashboard: {link}" if link else "dashboard: no address known; set --dashboard or SIGHTLINE_DASHBOARD")


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

experiment_option = click.option(
    "--experiment", default="sightline", show_default=True, help="Experiment of the runs; created if missing."
)

pipeline_option = click.option("--pipeline", default="sightline", show_default=True, help="Name of the pipeline.")


def launch_options(function: Function) -> Function:
    """Options for starting a run."""
    options = (
        click.option(
            "--code", "code_rev", default="", metavar="REVISION", help="Code: image, current, or a snapshot's SHA-256."
        ),
        click.option(
            "--param", "pods", multiple=True, metavar="NAME=VALUE", help="Parameter of the pipeline; repeatable."
        ),
        click.option("--wait", "waiting", is_flag=True, help="Wait for the end; exit 1 unless the run succeeds."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def echo_put_right(runs: Iterable[Run]) -> None:
    """Correct the database rows of runs to match Kubeflow, and report changes on standard error."""
    from sightline.kubeflow.runs.rows import put_right

    for line in put_right(runs):
        click.echo(line, err=True)


def print_json(document: object) -> None:
    """Print a document as JSON."""
    click.echo(json.dumps(document, indent=1, ensure_ascii=False))
