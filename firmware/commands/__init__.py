"""One file a command of the ``reader`` program."""

from __future__ import annotations

from typing import Any, TypeAlias

Subparsers: TypeAlias = Any  # argparse does not name the type that add_subparsers returns
