"""`department clauses`: every sentence of 463 that obliges, permits or forbids, and its test."""

from __future__ import annotations

import json
import textwrap

import click

from sync.command_frame import Common, verb
from sync.department.desk.json_forms import to_json
from sync.department.policy.clauses import clause_rows
from sync.errors import DONE


@verb("clauses", example="department clauses --markdown")
@click.option("--markdown", is_flag=True, help="Print the table of the README.")
def clauses(common: Common, *, markdown: bool) -> int:
    """Print each sentence of 463.1 to 463.9 that obliges, permits or forbids, its enforcement, and its
    test."""
    if markdown:
        print("| clause | sentence | how | test |\n|---|---|---|---|")
    for row in clause_rows():
        test = f"`tests/{row.test}`" if row.test else "**not enforced**"
        if common.json:
            print(json.dumps(to_json(row)))
        elif markdown:
            print(f"| {row.clause} | {row.sentence} ({row.duty}) | {row.how} | {test} |")
        else:
            print(f"{row.clause}  {row.duty}  {row.state}")
            print(textwrap.indent(textwrap.fill(row.sentence, 100), "    "))
            print(textwrap.indent(textwrap.fill(row.how, 100), "    "))
            print(f"    test: {row.test or 'not enforced'}")
    return DONE
