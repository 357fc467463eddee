"""`department api`: the HTTP API of the desk, described."""

from __future__ import annotations

import json

import click

from sync.command_frame import DONE, Common, verb
from sync.department.desk.openapi import document, reference


@verb("api", example="department api > openapi.json")
@click.option("--markdown", is_flag=True, help="A page for people instead of OpenAPI 3.1.")
def api(common: Common, *, markdown: bool) -> int:  # noqa: ARG001 - every command has the common options
    """Print the description of every call: its form, its answer, who may make it."""
    print(reference() if markdown else json.dumps(document(), indent=1))
    return DONE
