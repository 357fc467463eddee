"""What optics, light and sensor do to a luma picture: one function for each effect, uint8 in, uint8 out.

Lumas are gamma-coded, as a camera gives them. Effects that add light (motion, glare, defocus of lamps) add it
in linear light. Every function takes its strength in plain units and draws only from ``rng``.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from .backdrops import blotches

Luma = NDArray[np.uint8]
Field = NDArray[np.float32]
Points = NDArray[np.floating]

GAMMA = 2.2
_BORDER = 2  # px


def to_linear(luma: NDArray[np.generic]) -> Field:
    """Converts gamma-coded luma 0 to 255 to linear light 0 to 1."""
    return np.asarray((luma.astype(np.float32) / 255.0) ** GAMMA, np.float32)


def to_luma(light: NDArray[np.floating]) -> Luma:
    """Converts linear light to gamma-coded uint8; light above 1 saturates."""
    return np.asarray(np.clip(light, 0, 1) ** (1 / GAMMA) * 255.0 + 0.5, np.uint8)


def homography(source: Points, target: Points) -> NDArray[np.float64]:
    """The 3x3 matrix that maps four source points (4, 2) onto four target points (4, 2).

    Raises numpy.linalg.LinAlgError if three points are on a line.
    """
    rows = []
    for (x, y), (u, v) in zip(source.astype(np.float64), target.astype(np.float64), strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    solution = np.linalg.solve(np.array(rows), target.astype(np.float64).reshape(8))
    return np.append(solution, 1.0).reshape(3, 3)


def project(matrix: NDArray[np.float64], points: Points) -> NDArray[np.float64]:
    """Maps points (N, 2) by a homography."""
    mapped = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(mapped[:, :2] / mapped[:, 2:3])


def warp(luma: Luma, to_picture: NDArray[np.float64], size: tuple[int, int]) -> Luma:
    """Maps the picture by a homography into a new one of size (height, width); must not shrink it."""
    inverse = np.linalg.inv(to_picture)
    inverse = inverse / inverse[2, 2]
    # Pillow maps pixel centers: (x + 0.5, y + 0.5) through the coefficients.
    return np.asarray(
        Image.fromarray(luma).transform(
            (size[1], size[0]),
            Image.Transform.PERSPECTIVE,
            tuple(inverse.reshape(-1)[:8]),
            Image.Resampling.BICUBIC,
            fillcolor=0,
        )
    )


def place(canvas: Luma, picture: Luma, alpha: Luma, corners: Points, target: Points) -> Luma:
    """Puts a picture into a canvas so that its points ``corners`` (4, 2) fall on ``target`` (4, 2).

    Finer detail than the target can hold is averaged first, so that small plates do not alias.
    """
    spans = [float(np.hypot(*(target[i] - target[j]))) for i, j in ((0, 1), (3, 2), (0, 3), (1, 2))]
    own = [float(np.hypot(*(corners[i] - corners[j]))) for i, j in ((0, 1), (3, 2), (0, 3), (1, 2))]
    share_x = min(1.0, 1.25 * max(spans[0], spans[1]) / max(own[0], own[1]))
    share_y = min(1.0, 1.25 * max(spans[2], spans[3]) / max(own[2], own[3]))
    height, width = picture.shape
    small = (max(4, round(width * share_x)), max(4, round(height * share_y)))
    if small != (width, height):
        picture, alpha = (
            np.asarray(Image.fromarray(layer).resize(small, Image.Resampling.BOX))
            for layer in (picture, alpha)
        )
    # A clear border, so that the edge is interpolated instead of cut.
    scaled = corners.astype(np.float64) * np.array([small[0] / width, small[1] / height]) + _BORDER
    picture, alpha = np.pad(picture, _BORDER, mode="edge"), np.pad(alpha, _BORDER)
    matrix = homography(scaled, target)
    wide, high = small[0] + 2 * _BORDER, small[1] + 2 * _BORDER
    reach = project(matrix, np.array([(0, 0), (wide, 0), (wide, high), (0, high)], np.float64))
    left, top = (max(0, int(edge)) for edge in np.floor(reach.min(axis=0)))
    right, bottom = (int(edge) for edge in np.ceil(reach.max(axis=0)))
    right, bottom = min(canvas.shape[1], right), min(canvas.shape[0], bottom)
    if right <= left or bottom <= top:
        return canvas
    shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]], np.float64)
    size = (bottom - top, right - left)
    laid = warp(picture, shift @ matrix, size).astype(np.float32)
    opaque = warp(alpha, shift @ matrix, size).astype(np.float32) / 255.0
    out = canvas.copy()
    region = out[top:bottom, left:right].astype(np.float32)
    out[top:bottom, left:right] = np.clip(region + (laid - region) * opaque, 0, 255).astype(np.uint8)
    return out


def motion_blur(luma: Luma, dx: float, dy: float) -> Luma:
    """Smears a picture that moved by (dx, dy) px while the shutter was open, in linear light."""
    steps = int(np.ceil(max(abs(dx), abs(dy)))) + 1
    if steps < 2:
        return luma
    light = to_linear(luma)
    pad = steps + 1
    padded = np.pad(light, pad, mode="edge")
    total = np.zeros_like(light)
    height, width = luma.shape
    for share in np.linspace(-0.5, 0.5, steps):
        x, y = pad + dx * share, pad + dy * share
        x0, y0 = int(np.floor(x)), int(np.floor(y))
        fx, fy = np.float32(x - x0), np.float32(y - y0)
        row = padded[y0 : y0 + height + 1, x0 : x0 + width + 1]
        mixed = row[:, :-1] * (1 - fx) + row[:, 1:] * fx
        total += mixed[:-1] * (1 - fy) + mixed[1:] * fy
    return to_luma(total / steps)


def defocus(luma: Luma, radius: float) -> Luma:
    """Blurs as a lens out of focus does; radius in px of about a disk."""
    if radius < 0.2:
        return luma
    image = Image.fromarray(luma)
    if radius > 2:
        image = image.filter(ImageFilter.BoxBlur(radius * 0.6))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius * 0.5)))


def sensor_noise(rng: np.random.Generator, luma: Luma, iso: float, *, grain: float = 1.0) -> Luma:
    """Adds a small sensor's shot and read noise at an ISO; grain above 1: noise that a denoiser smeared."""
    light = to_linear(luma)
    gain = iso / 100.0
    full_well = 5200.0  # electrons of a 1.4 um pixel
    spread = np.sqrt(light * gain / full_well + (2.2 * gain / full_well) ** 2 * 2)
    noise = rng.standard_normal(luma.shape, dtype=np.float32)
    if grain > 1.05:
        coarse = (max(2, round(luma.shape[1] / grain)), max(2, round(luma.shape[0] / grain)))
        small = Image.fromarray(rng.standard_normal((coarse[1], coarse[0]), dtype=np.float32))
        noise = np.asarray(small.resize((luma.shape[1], luma.shape[0]), Image.Resampling.BICUBIC), np.float32)
    return to_luma(np.maximum(light + noise * spread.astype(np.float32), 0))


def glare(rng: np.random.Generator, luma: Luma, strength: float) -> Luma:
    """Adds veiling light and the halo of a lamp in or near the picture; strength about 0 to 1."""
    height, width = luma.shape
    x, y = rng.uniform(-0.3, 1.3) * width, rng.uniform(-0.4, 1.4) * height
    across = np.arange(width, dtype=np.float32)[None] - x
    down = np.arange(height, dtype=np.float32)[:, None] - y
    distance = np.sqrt(across**2 + down**2) / max(width, height)
    halo = strength * (0.9 * np.exp(-((distance / 0.12) ** 2)) + 0.35 * np.exp(-distance / 0.25))
    return to_luma(to_linear(luma) + halo.astype(np.float32) + np.float32(0.05 * strength))


def shadow(rng: np.random.Generator, luma: Luma, depth: float) -> Luma:
    """Adds a straight-edged or leafy shadow; depth is the share of light lost."""
    height, width = luma.shape
    if rng.random() < 0.7:
        turn = rng.uniform(0, 2 * np.pi)
        x = np.arange(width, dtype=np.float32)[None] / width - rng.uniform(0.15, 0.85)
        y = np.arange(height, dtype=np.float32)[:, None] / height - rng.uniform(0.15, 0.85)
        edge = x * np.cos(turn) + y * np.sin(turn)
        shade = np.clip(edge / rng.uniform(0.02, 0.15) + 0.5, 0, 1)
        if rng.random() < 0.35:  # a band: a bar, a lamp's edge, a tow ball
            shade = shade * np.clip((rng.uniform(0.1, 0.4) - edge) / 0.03 + 0.5, 0, 1)
    else:
        cells = (int(rng.integers(3, 7)), int(rng.integers(4, 12)))
        shade = np.clip(blotches(rng, luma.shape, cells) * 2 + 0.3, 0, 1)
    return to_luma(to_linear(luma) * (1 - np.float32(depth) * shade.astype(np.float32)))


def uneven_light(rng: np.random.Generator, luma: Luma, strength: float) -> Luma:
    """Changes the light slowly across the picture, by up to ``strength`` of it."""
    height, width = luma.shape
    turn = rng.uniform(0, 2 * np.pi)
    ramp = (
        np.cos(turn) * np.linspace(-1, 1, width, dtype=np.float32)[None]
        + np.sin(turn) * np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    )
    return to_luma(to_linear(luma) * np.exp(np.float32(strength) * ramp).astype(np.float32))


def exposure(luma: Luma, stops: float, black: float = 0.0) -> Luma:
    """Changes the light by ``stops``; black: flare that lifts dark tones, as a share of full scale."""
    return to_luma(to_linear(luma) * np.float32(2.0**stops) * (1 - black) + np.float32(black))


def contrast(luma: Luma, share: float, pivot: float = 118.0) -> Luma:
    """Moves tones toward a pivot luma (share below 1) or away from it, as a camera's tone curve does."""
    return np.asarray(np.clip((luma.astype(np.float32) - pivot) * share + pivot, 0, 255), np.uint8)


def rain(rng: np.random.Generator, luma: Luma, streaks: int) -> Luma:
    """Adds bright streaks of falling drops and soft blobs of drops on the glass."""
    height, width = luma.shape
    drops = np.zeros((height, width), np.float32)
    lean, length = rng.normal(0, 0.25), max(3, int(height * rng.uniform(0.06, 0.25)))
    for x, y in zip(rng.uniform(0, width, streaks), rng.uniform(-length, height, streaks), strict=True):
        for step in range(length):
            row, column = int(y) + step, int(x + lean * step)
            if 0 <= row < height and 0 <= column < width:
                drops[row, column] += 0.12
    out = to_luma(
        to_linear(luma) * np.float32(0.92) + np.float32(0.02) + drops * np.float32(rng.uniform(0.5, 2.0))
    )
    if rng.random() < 0.5:
        soft = np.asarray(
            Image.fromarray(out).filter(ImageFilter.GaussianBlur(max(1.0, height / 30))), np.float32
        )
        cells = (max(3, height // 12), max(3, width // 12))
        wet = np.clip(blotches(rng, luma.shape, cells) * 3 - 1.6, 0, 1)
        out = (out + (soft - out) * wet).astype(np.uint8)
    return out


def infrared_night(rng: np.random.Generator, luma: Luma, plate: Luma) -> Luma:
    """Night under an infrared lamp: the surroundings go dark; the retroreflective plate shines or burns out.

    plate: uint8 of luma's shape, 255 where the plate is.
    """
    light = to_linear(luma)
    lit = rng.uniform(0.01, 0.12)
    shine = rng.uniform(0.4, 1.8)
    share = plate.astype(np.float32) / 255.0
    return to_luma(light * (np.float32(lit) * (1 - share) + np.float32(shine) * share))


def jpeg(luma: Luma, quality: int) -> Luma:
    """Compresses the picture as JPEG with a quality of 1 to 95."""
    store = io.BytesIO()
    Image.fromarray(luma).save(store, "JPEG", quality=quality)
    return np.asarray(Image.open(store))


def resampled(rng: np.random.Generator, luma: Luma, share: float) -> Luma:
    """Scales down by ``share`` and up again, with filters that cameras and recorders use."""
    height, width = luma.shape
    filters = (
        Image.Resampling.NEAREST,
        Image.Resampling.BILINEAR,
        Image.Resampling.BOX,
        Image.Resampling.BICUBIC,
    )
    down, up = filters[int(rng.integers(1, 4))], filters[int(rng.choice(4, p=[0.06, 0.4, 0.04, 0.5]))]
    small = Image.fromarray(luma).resize((max(4, round(width * share)), max(4, round(height * share))), down)
    return np.asarray(small.resize((width, height), up))


def sharpen(luma: Luma, amount: float, radius: float = 1.2) -> Luma:
    """Oversharpens as cheap cameras do, with halos along edges; amount 0 to 3."""
    return np.asarray(Image.fromarray(luma).filter(ImageFilter.UnsharpMask(radius, round(amount * 100), 2)))


def quad_mask(size: tuple[int, int], quad: Points) -> Luma:
    """A mask: 255 inside the quad (4, 2), soft along its edge."""
    unit = np.full((8, 8), 255, np.uint8)
    box = np.array([(0, 0), (8, 0), (8, 8), (0, 8)], np.float64)
    return warp(unit, homography(box, quad), size)


def cut_out(luma: Luma, quad: Points, size: tuple[int, int]) -> Luma:
    """Straightens the picture's quad (4, 2) to size (height, width), as the reader's rectifier does."""
    height, width = size
    box = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    wide = max(np.hypot(*(quad[1] - quad[0])), np.hypot(*(quad[2] - quad[3])))
    over = int(min(3, np.ceil(wide / width)))  # more picture than patch: oversample, then average
    if over > 1:
        large = warp(luma, homography(quad, box * over), (height * over, width * over))
        return np.asarray(Image.fromarray(large).resize((width, height), Image.Resampling.BOX))
    return warp(luma, homography(quad, box), size)


def is_convex(quad: Points) -> bool:
    """Whether the corners turn clockwise (y down) all the way around."""
    sides = np.roll(quad, -1, axis=0) - quad
    turns = sides[:, 0] * np.roll(sides, -1, axis=0)[:, 1] - sides[:, 1] * np.roll(sides, -1, axis=0)[:, 0]
    return bool(np.all(turns > 0))
