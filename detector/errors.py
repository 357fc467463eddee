"""The detector's errors. Each says what is wrong, where, and what to do.

DetectorError
├── MissingRuntimeError      neither ai-edge-litert nor tflite-runtime is installed
├── ModelError               a model or its card cannot be used
│   ├── MissingModelError    the model file or its card is missing
│   ├── CardError            the card is not valid TOML, or a field is missing, unknown or out of range
│   ├── SwappedModelError    the file's sha256 is not the one that its card names
│   └── ModelShapeError      the net's tensors are not those that its card describes
├── NetAnswerError           a net's answer, or a result of it, is not a number, or is known to be wrong
└── PictureError             an array of the wrong shape or type
    └── DegenerateCornersError  four corners that span no convex area
"""

from __future__ import annotations

from pathlib import Path


class DetectorError(Exception):
    """Base of the detector's errors. The room imports no other, so it has its own base.

    `exit_status`: the exit status of a command that fails with it (1 found wrong, 2 misuse, 3 lacking).
    """

    exit_status = 1


class MissingRuntimeError(DetectorError):
    """No TFLite runtime can be imported; ``tried`` names the packages."""

    exit_status = 3

    def __init__(self, tried: tuple[str, ...]) -> None:
        self.tried = tried
        super().__init__(
            f"no model runtime: none of {', '.join(tried)} can be imported; "
            "install ai-edge-litert, or the extra 'tflite' where there is no wheel of it"
        )


class ModelError(DetectorError):
    """A model file or its card cannot be used; ``path`` names it."""

    def __init__(self, path: Path, what: str, cure: str) -> None:
        self.path = path
        self.cure = cure
        super().__init__(f"{path}: {what}; {cure}")


class MissingModelError(ModelError):
    """A model file or its card is missing."""

    exit_status = 3


class CardError(ModelError):
    """A card that cannot be read; ``field`` names the key, empty when the file itself is broken."""

    def __init__(self, path: Path, field: str, what: str) -> None:
        self.field = field
        where = f"key {field!r}: " if field else ""
        super().__init__(path, f"{where}{what}", "restore the card that came with the model")


class SwappedModelError(ModelError):
    """The model file's hash is not the one on its card."""

    def __init__(self, path: Path, expected: str, found: str) -> None:
        self.expected = expected
        self.found = found
        super().__init__(
            path,
            f"sha256 is {found}, its card names {expected}",
            "restore the model file and the card from one release",
        )


class ModelShapeError(ModelError):
    """A tensor of the net is missing, or its shape or type differs from the card."""


class NetAnswerError(DetectorError):
    """A net's answer cannot be right: the processor, its memory or the runtime computes wrongly.

    ``net``: the model's file.
    """

    def __init__(self, net: str, what: str) -> None:
        self.net = net
        super().__init__(
            f"{net}: {what}; nothing is read from it: run `reader selftest`, and if it fails install the "
            "models and the runtime of one release again, or replace the board"
        )


class PictureError(DetectorError):
    """An array of the wrong shape or type was passed in."""


class DegenerateCornersError(PictureError):
    """The corners span no convex area of at least a few pixels, so nothing can be cut out."""
