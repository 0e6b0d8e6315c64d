"""``sightline code``: the code that cached results depend on."""

from __future__ import annotations

import json
from dataclasses import asdict

import click


@click.group("code")
def command() -> None:
    """Show the code that cached results depend on."""


@command.command("keys")
@click.option("--files", is_flag=True, help="List the files that each step can reach.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def keys(*, files: bool, as_json: bool) -> None:
    """Show a digest of the code that each step's cached results depend on.

    A step runs again if its data, its configuration or its code changes. Its code is all files reachable through its
    imports, and the versions of the libraries that affect its results.
    """
    from sightline.code.reach import STEPS, step_reach

    reaches = {step: step_reach(step) for step in STEPS}
    if as_json:
        click.echo(json.dumps({step: asdict(found) for step, found in reaches.items()}, indent=1))
        return
    for step, found in reaches.items():
        libraries = ", ".join(f"{name} {version}" for name, version in found.libraries.items())
        click.echo(f"{step:<9} {found.digest}  {len(found.files)} files; {libraries}")
        for name in found.files if files else ():
            click.echo(f"          {name}")
