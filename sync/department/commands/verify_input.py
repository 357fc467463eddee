"""What a stranger gives to `department verify`: a file to check, and keys from another source. Not a
command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from sync.command_frame import collected
from sync.department.commands.given_files import FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyInput:
    """A stranger's input: the file to check, and keys from another source."""

    package: Path | None
    key: str | None
    log: Path | None
    witness_key: tuple[str, ...]
    witness_url: tuple[str, ...]
    checkpoint: tuple[Path, ...]
    quorum: int | None
    opened: Path | None
    opened_key: str
    public_witness_key: tuple[str, ...]
    public_witness_url: tuple[str, ...]
    public_checkpoint: tuple[Path, ...]


stranger_options = collected(
    "given",
    VerifyInput,
    click.argument("package", type=FILE, required=False),
    click.option(
        "--key", metavar="KEY", help="The department log's key (`department witness log-key`), or its file."
    ),
    click.option("--log", type=FILE, metavar="FOLDER", help="The copy of the access log to check."),
    click.option(
        "--witness-key",
        multiple=True,
        metavar="KEYS",
        help="A witness's keys, or their file, obtained from the witness.",
    ),
    click.option("--witness-url", multiple=True, metavar="URL", help="Address of its newest checkpoint."),
    click.option(
        "--checkpoint",
        type=FILE,
        multiple=True,
        metavar="FILE",
        help="Instead: a checkpoint file from a witness.",
    ),
    click.option("--quorum", type=int, help="How many witnesses must agree; default: all given."),
    click.option("--opened", type=FILE, metavar="FILE", help="The key service's own list."),
    click.option(
        "--opened-key",
        default="",
        metavar="KEY",
        help="The key of that list, from the office that runs the service.",
    ),
    click.option(
        "--public-witness-key",
        multiple=True,
        metavar="KEYS",
        help="A public witness's keys, to check the hourly heads in the copy.",
    ),
    click.option(
        "--public-witness-url", multiple=True, metavar="URL", help="Address of its newest checkpoint."
    ),
    click.option(
        "--public-checkpoint",
        type=FILE,
        multiple=True,
        metavar="FILE",
        help="Instead: a checkpoint file from a public witness.",
    ),
)
