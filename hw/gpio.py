"""gpiozero and its pin library, for lamps and ignition: loaded so that they work in a service.

Promise: an error of gpiozero or of its pin library becomes a HardwareError.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from hw.errors import MissingDriverError, PartFailedError

_scratch: list[tempfile.TemporaryDirectory[str]] = []  # lgpio's pipe, until the process ends


def open_pin(kind: str, number: int, name: str, **options: Any) -> Any:
    """A gpiozero device of this class on this BCM pin. Raises MissingDriverError."""
    gpiozero = _load()
    try:
        with _working_folder():
            return getattr(gpiozero, kind)(number, **options)
    except _errors() as error:
        raise MissingDriverError(
            f"GPIO {number} ({name}) cannot be used ({type(error).__name__}: {error}): is lgpio installed, "
            "is this user in the group gpio, and does nothing else hold the pin?"
        ) from error


@contextlib.contextmanager
def pin_errors(name: str) -> Iterator[None]:
    """Turn what the libraries raise while a pin is used into PartFailedError."""
    try:
        yield
    except _errors() as error:
        raise PartFailedError(f"GPIO of the {name} does not answer ({type(error).__name__})") from error


def _load() -> ModuleType:
    try:
        import gpiozero  # noqa: PLC0415 - a driver imports late
    except ImportError as error:
        raise MissingDriverError(
            "gpiozero not found: install the 'pi' extra, or leave the pins out of [parts]"
        ) from error
    # It warns about each pin library that it tries; the error of the last one is enough.
    warnings.filterwarnings("ignore", category=gpiozero.exc.PinFactoryFallback)
    module: ModuleType = gpiozero
    return module


def _errors() -> tuple[type[Exception], ...]:
    from gpiozero.exc import GPIOZeroError  # noqa: PLC0415 - loaded by now

    # lgpio's own error ("GPIO busy") is neither gpiozero's nor an OSError; RPi.GPIO raises RuntimeError.
    lgpio = sys.modules.get("lgpio")
    foreign = () if lgpio is None else (lgpio.error,)
    return (GPIOZeroError, OSError, RuntimeError, *foreign)


@contextlib.contextmanager
def _working_folder() -> Iterator[None]:
    """Load lgpio in a scratch folder: it creates a pipe in the working folder, where a service may not write.

    If LG_WD names a folder, lgpio changes the process's working folder to it; this restores the old one.
    """
    if "LG_WD" not in os.environ:
        _scratch.append(tempfile.TemporaryDirectory(prefix="lgpio-"))
        os.environ["LG_WD"] = _scratch[-1].name
    here = os.open(".", os.O_PATH | os.O_DIRECTORY)
    try:
        yield
    finally:
        os.fchdir(here)
        os.close(here)
