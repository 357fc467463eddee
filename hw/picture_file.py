"""Decodes a picture file into luma and chroma planes, upright, full range; an error names the file."""

from __future__ import annotations

import contextlib
import errno
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from hw.errors import BrokenFrameError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
FORMATS = ("JPEG", "PNG", "WEBP")
READ = "JPEG, PNG or WebP"
MAX_PIXELS = 20_000_000  # a hostile file of 100 kB must not exhaust the memory of a small unit
STRIP = 256  # rows converted at once; an even number because of the chroma
_GIANT = f"more than {MAX_PIXELS // 1_000_000} megapixels"
_DIGITS = re.compile(r"(\d+)")
# what Pillow raises for files that are cut off, mangled or hostile
_DECODE_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    ArithmeticError,
    LookupError,
    TypeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planes:
    """luma: uint8 (H, W); chroma: U and V, uint8 (ceil(H/2), ceil(W/2)), or None for a gray picture."""

    luma: NDArray[np.uint8]
    chroma: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None

    def upside_down(self) -> Planes:
        """The picture rotated by 180 degrees."""
        chroma = None if self.chroma is None else (_turned(self.chroma[0]), _turned(self.chroma[1]))
        return Planes(luma=_turned(self.luma), chroma=chroma)


def _turned(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(plane[::-1, ::-1])


def natural_order(path: Path) -> tuple[tuple[int, int | str], ...]:
    """A sort key that puts frame_9 before frame_10."""
    parts = _DIGITS.split(path.name.casefold())
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in parts)


def is_picture(path: Path) -> bool:
    """Whether the name is a picture's that the reader reads; hidden files are not."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def load_planes(path: Path, *, color: bool = True) -> Planes:
    """Decode a JPEG, PNG or WebP; a JPEG's luma is used as it is, without a conversion to RGB.

    Raises BrokenFrameError, which names the file.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            _refuse_giants(path, image)
            image.draft("YCbCr" if color else "L", None)
            image.load()
            ImageOps.exif_transpose(image, in_place=True)  # otherwise it copies even an upright picture
            return _planes_of(image, color=color)
    except BrokenFrameError:
        raise
    except FileNotFoundError as error:
        raise BrokenFrameError(str(path), "no such file") from error
    except IsADirectoryError as error:
        raise BrokenFrameError(str(path), "is a folder, not a picture") from error
    except PermissionError as error:
        raise BrokenFrameError(str(path), "permission denied") from error
    except MemoryError as error:
        raise BrokenFrameError(str(path), "not enough memory to decode it") from error
    except Image.DecompressionBombError as error:
        raise BrokenFrameError(str(path), _GIANT) from error
    except _DECODE_ERRORS as error:
        raise BrokenFrameError(str(path), _what_it_is(path, error)) from error


def _what_it_is(path: Path, error: Exception) -> str:
    """What is wrong with a file that does not decode, for a message."""
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        return "cannot be opened: too many files are open (EMFILE); raise the limit with ulimit -n"
    if isinstance(error, UnidentifiedImageError):
        with contextlib.suppress(*_DECODE_ERRORS), Image.open(path) as image:
            return f"is a {image.format} file, which is not read: give {READ}"
        return f"is not a picture: give {READ}"
    return f"is damaged or cut off ({type(error).__name__})"


def _refuse_giants(path: Path, image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise BrokenFrameError(str(path), _GIANT)


def _planes_of(image: Image.Image, *, color: bool) -> Planes:
    """Convert strip by strip: a whole picture in another mode would double the memory."""
    width, height = image.size
    deep = image.mode.startswith("I") or image.mode == "F"  # a 16-bit gray PNG
    gray = deep or image.mode in {"1", "L", "LA"} or not color
    luma = np.empty((height, width), dtype=np.uint8)
    half = ((height + 1) // 2, (width + 1) // 2)
    chroma = None if gray else (np.empty(half, dtype=np.uint8), np.empty(half, dtype=np.uint8))
    for top in range(0, height, STRIP):
        rows = slice(top, min(height, top + STRIP))
        strip = image.crop((0, rows.start, width, rows.stop))
        if deep:
            luma[rows] = np.clip(np.asarray(strip).astype(np.float64) / 257.0 + 0.5, 0, 255)
        elif chroma is None:
            luma[rows] = np.asarray(strip.convert("L"))
        else:
            parts = (strip if strip.mode == "YCbCr" else strip.convert("RGB").convert("YCbCr")).split()
            luma[rows] = np.asarray(parts[0])
            for plane, part in zip(chroma, parts[1:], strict=True):
                plane[rows.start // 2 : (rows.stop + 1) // 2] = np.asarray(part.reduce(2))
    return Planes(luma=luma, chroma=chroma)
