"""`department clauses`: every sentence of 463 that obliges, permits or forbids, and the test that
holds it."""

from __future__ import annotations

import argparse
import json
import textwrap
from typing import Any

from sync.department.desk.json_forms import to_json
from sync.department.policy.clauses import clause_rows


def add_parser(subparsers: Any) -> None:
    """The arguments."""
    parser = subparsers.add_parser(
        "clauses",
        help="every sentence of 463.1 to 463.9, and the test that fails if it is not enforced",
        description="Prints each sentence that obliges, permits or forbids, how it is enforced, and "
        "the test.",
        epilog="example: department clauses --markdown",
    )
    parser.add_argument("--markdown", action="store_true", help="as the table of the README")


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    if args.markdown:
        print("| clause | sentence | how | test |\n|---|---|---|---|")
    for row in clause_rows():
        test = f"`tests/{row.test}`" if row.test else "**not enforced**"
        if args.json:
            print(json.dumps(to_json(row)))
        elif args.markdown:
            print(f"| {row.clause} | {row.sentence} ({row.duty}) | {row.how} | {test} |")
        else:
            print(f"{row.clause}  {row.duty}  {row.state}")
            print(textwrap.indent(textwrap.fill(row.sentence, 100), "    "))
            print(f"    {row.how}: {row.test or 'not enforced'}")
    return 0
