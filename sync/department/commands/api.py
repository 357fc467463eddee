"""`department api`: the description of the desk's HTTP API."""

from __future__ import annotations

import json

from sync.command_frame import Common, verb
from sync.department.desk.openapi import document
from sync.errors import DONE


@verb("api", example="department api > openapi.json")
def api(common: Common) -> int:  # noqa: ARG001 - every command has the common options
    """Print the OpenAPI 3.1 description of every call: its form, its answer and its roles."""
    print(json.dumps(document(), indent=1))
    return DONE
