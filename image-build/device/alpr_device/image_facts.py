"""The facts of the running image: /usr/share/alpr/image.toml, in the verified root."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from alpr_device.errors import DeviceError
from storage import files

FACTS = Path("/usr/share/alpr/image.toml")
FLOOR = Path("/var/lib/alpr-update/floor")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """board: its name in releases. version: of this image. name: for people."""

    board: str
    version: int
    name: str


def image_facts(path: Path = FACTS) -> ImageFacts:
    """Read the facts. Raises DeviceError."""
    try:
        held = tomllib.loads(path.read_text(encoding="utf-8"))
        return ImageFacts(board=str(held["board"]), version=int(held["version"]), name=str(held["name"]))
    except (OSError, KeyError, ValueError) as error:
        raise DeviceError(f"{path} cannot be read: {error}") from None


def floor(path: Path = FLOOR) -> int:
    """The highest version that was ever committed on this unit; 0 before the first."""
    try:
        return int(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        raise DeviceError(
            f"{path} cannot be read: {error}; nothing is installed over an unknown version"
        ) from None


def raise_floor(version: int, path: Path = FLOOR) -> None:
    """Raise the floor to this version; never lowers it."""
    if version > floor(path):
        files.replace(path, f"{version}\n".encode())  # an empty file would refuse every update
