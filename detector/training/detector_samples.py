"""Makes the detector's training pictures: windows of real scenes, and plates pasted into plate-free ones.

It works on luma at the net's scale. Real scenes have only boxes; pasted plates have true corners too.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from .datasets import Picture
from .detector_targets import NET_HEIGHT, NET_WIDTH
from .geometry import perspective
from .render.faces import lettering_mask
from .render.lettering import clock
from .render.scenes import render_scene

Luma = NDArray[np.uint8]
PLATE_SOURCE = Callable[[np.random.Generator], Luma]

MOST_WIDTH = 1920
PAD_LUMA = 114  # the reader pads frames with this too
REAL_SHARE = 0.55
COMPOSED_SHARE = 0.4  # of the plate-free windows become a scene of vehicles and clutter
CLOCK_SHARE = 0.07  # of all windows show a date or a time, as a recorder burns it in
DECOY_SHARE = 0.4  # of the plate-free windows show what an earlier net took for a plate
_RESAMPLE = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.HAMMING,
    Image.Resampling.LANCZOS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSample:
    """luma: uint8 (H, W); boxes: float32 (N, 4) center and size in px; corners: float32 (N, 4, 2).

    unlabeled: float32 (M, 4) x, y, w, h of plates that the set does not label; partly: there may be more
    of them, because most sets label only one plate per picture.
    """

    luma: Luma
    boxes: NDArray[np.float32]
    corners: NDArray[np.float32]
    has_corners: NDArray[np.bool_]
    unlabeled: NDArray[np.float32]
    partly: bool


class SampleMaker:
    """Draws samples of one size from pictures that it keeps decoded in memory."""

    def __init__(
        self,
        pictures: Sequence[Picture],
        plates: Sequence[PLATE_SOURCE],
        *,
        height: int,
        width: int,
        decoys: Mapping[Path, NDArray[np.float32]] | None = None,
        unlabeled: Mapping[Path, NDArray[np.float32]] | None = None,
    ) -> None:
        """``decoys``: what an earlier net wrongly took for plates; ``unlabeled``: plates that a set does
        not label; both as boxes (N, 4) x, y, w, h by picture.
        """
        self._height, self._width = height, width
        self._widest = 0.94 * width
        self._plates = plates
        self._scenes: list[tuple[Image.Image, NDArray[np.float32], NDArray[np.float32]]] = []
        self._clean: list[Image.Image] = []
        self._decoys: list[tuple[Image.Image, NDArray[np.float32]]] = []
        self._weights: list[float] = []
        for picture in pictures:
            boxes = [plate.box for plate in picture.plates if plate.box is not None]
            if boxes:
                more = (unlabeled or {}).get(picture.path, _NO_BOXES)
                self._scenes.append(_bounded(_opened(picture), np.array(boxes, np.float32), more))
                self._weights.append(_SET_WEIGHT.get(picture.dataset, 1.0))
            elif not picture.plates:
                image = _opened(picture)
                self._clean.append(image)
                if decoys and len(decoys.get(picture.path, ())):
                    self._decoys.append((image, decoys[picture.path]))
        if not self._scenes or not self._clean:
            raise ValueError("need both scenes with boxes and plate-free pictures")
        total = sum(self._weights)
        self._weights = [weight / total for weight in self._weights]

    def draw(self, rng: np.random.Generator) -> DetectorSample:
        """One training picture with its truth."""
        partly = bool(rng.random() < REAL_SHARE)
        if partly:
            index = int(rng.choice(len(self._scenes), p=self._weights))
            image, truth, missing = self._scenes[index]
            luma, both = self._window(rng, image, np.concatenate([truth, missing]), anchors=len(truth))
            boxes, unlabeled = both[: len(truth)], both[len(truth) :]
            quads = _box_corners(boxes)
            known = np.zeros(len(boxes), bool)
            extra = 0 if rng.random() < 0.7 else 1
        else:
            luma = self._plate_free(rng)
            boxes, unlabeled = _NO_BOXES, _NO_BOXES
            quads, known = np.zeros((0, 4, 2), np.float32), np.zeros(0, bool)
            extra = int(rng.choice(4, p=[0.3, 0.4, 0.2, 0.1]))
            if rng.random() < COMPOSED_SHARE:
                scene = render_scene(rng, luma, widths=(11.0, 0.62 * self._width))
                luma, extra = scene.luma, 0
                if scene.corners:
                    quads = np.asarray(scene.corners, np.float32)
                    known = np.ones(len(quads), bool)
                    boxes = np.stack([_bounds(quad) for quad in quads])
        for _ in range(extra):
            pasted = self._paste(rng, luma, boxes)
            if pasted is not None:
                luma, quad = pasted
                quads = np.concatenate([quads, quad[None]])
                known = np.append(known, True)
                boxes = np.concatenate([boxes, _bounds(quad)[None]])
        if rng.random() < 0.3:
            luma = np.ascontiguousarray(luma[:, ::-1])
            boxes, unlabeled = boxes.copy(), unlabeled.copy()
            for mirrored in (boxes, unlabeled):
                mirrored[:, 0] = self._width - mirrored[:, 0] - mirrored[:, 2]
            quads = quads[:, [1, 0, 3, 2]] * np.array([-1, 1], np.float32) + np.array(
                [self._width, 0], np.float32
            )
        centered = boxes.copy()
        centered[:, :2] += boxes[:, 2:] / 2
        inside = (
            (centered[:, 0] > 0)
            & (centered[:, 0] < self._width)
            & (centered[:, 1] > 0)
            & (centered[:, 1] < self._height)
        )
        luma = photometric(rng, luma)
        if rng.random() < CLOCK_SHARE:
            luma = _burn_in(rng, luma, boxes)
        return DetectorSample(
            luma=luma,
            boxes=centered[inside],
            corners=quads[inside].astype(np.float32),
            has_corners=known[inside],
            unlabeled=unlabeled,
            partly=partly,
        )

    def _plate_free(self, rng: np.random.Generator) -> Luma:
        """A window without a plate, often around something that an earlier net took for one."""
        if self._decoys and rng.random() < DECOY_SHARE:
            image, boxes = self._decoys[int(rng.integers(len(self._decoys)))]
            decoy = boxes[int(rng.integers(len(boxes)))][None]
            return self._window(rng, image, decoy, anchors=1, rescale=0.0)[0]
        image = self._clean[int(rng.integers(len(self._clean)))]
        return self._window(rng, image, _NO_BOXES, anchors=0)[0]

    def _window(
        self,
        rng: np.random.Generator,
        image: Image.Image,
        boxes: NDArray[np.float32],
        *,
        anchors: int,
        rescale: float = 0.45,
    ) -> tuple[Luma, NDArray[np.float32]]:
        """A window of the picture at the net's scale, and the boxes (N, 4) x, y, w, h in the window.

        ``anchors``: the window may be placed around one of that many first boxes.
        ``rescale``: how often the scale is chosen for the box instead of the picture.
        """
        natural = min(NET_WIDTH / image.width, NET_HEIGHT / image.height)
        scale = natural * float(np.exp(rng.normal(0.0, 0.3)))
        anchor = None
        if anchors:
            anchor = boxes[int(rng.integers(anchors))]
            if rng.random() < rescale:
                wanted = float(np.exp(rng.uniform(np.log(10), np.log(0.9 * self._widest))))
                scale = wanted / float(anchor[2])
            scale = float(np.clip(scale, 8 / anchor[2], self._widest / anchor[2]))
        scale_x = scale * float(np.exp(rng.normal(0.0, 0.05)))
        scale_y = scale * float(np.exp(rng.normal(0.0, 0.05)))
        span_x, span_y = self._width / scale_x, self._height / scale_y
        if anchor is not None:
            left = anchor[0] + anchor[2] / 2 - span_x * rng.uniform(0.05, 0.95)
            top = anchor[1] + anchor[3] / 2 - span_y * rng.uniform(0.05, 0.95)
        else:
            left = rng.uniform(min(0, image.width - span_x), max(0, image.width - span_x))
            top = rng.uniform(min(0, image.height - span_y), max(0, image.height - span_y))
        if rng.random() < 0.5:  # stay inside the picture, as a whole frame would
            left = float(np.clip(left, min(0, image.width - span_x), max(0, image.width - span_x)))
            top = float(np.clip(top, min(0, image.height - span_y), max(0, image.height - span_y)))
        luma = _resample(
            rng,
            image,
            left=float(left),
            top=float(top),
            scale_x=scale_x,
            scale_y=scale_y,
            width=self._width,
            height=self._height,
        )
        moved = boxes.copy()
        moved[:, 0] = (boxes[:, 0] - left) * scale_x
        moved[:, 1] = (boxes[:, 1] - top) * scale_y
        moved[:, 2] *= scale_x
        moved[:, 3] *= scale_y
        return luma, moved

    def _paste(
        self, rng: np.random.Generator, luma: Luma, taken: NDArray[np.float32]
    ) -> tuple[Luma, NDArray[np.float32]] | None:
        """Pastes one plate in perspective; None if it would cover another."""
        plate = self._plates[int(rng.integers(len(self._plates)))](rng)
        width = float(np.exp(rng.uniform(np.log(11), np.log(0.72 * self._width))))
        height = width * plate.shape[0] / plate.shape[1] * float(np.exp(rng.normal(0, 0.08)))
        turn, slant = rng.normal(0, 0.07), rng.normal(0, 0.10)
        squeeze = float(rng.uniform(0.55, 1.0)) if rng.random() < 0.4 else 1.0
        taper = rng.normal(0, 0.05)
        base = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        base[[0, 3], 1] *= 1 + taper
        base[[1, 2], 1] *= 1 - taper
        base *= (width * squeeze, height)
        base[:, 1] += base[:, 0] * np.tan(slant) * (1.0 if squeeze < 1 else 0.3)
        spin = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        center = np.array([rng.uniform(0.03, 0.97) * self._width, rng.uniform(0.03, 0.97) * self._height])
        quad = (base @ spin + center).astype(np.float32)
        if _overlaps(_bounds(quad), taken):
            return None
        return paste_quad(rng, luma, plate, quad), quad


_NO_BOXES = np.zeros((0, 4), np.float32)
_SET_WEIGHT = {
    "us-scenes": 3.0,
    "us-closeups": 2.0,
    "eu-scenes": 1.5,
    "br-scenes": 1.5,
    "ro-dashcam": 0.8,
    "nl-clips": 0.6,
}


def _opened(picture: Picture) -> Image.Image:
    return Image.fromarray(picture.luma())


def _bounded(
    image: Image.Image, *boxes: NDArray[np.float32]
) -> tuple[Image.Image, NDArray[np.float32], NDArray[np.float32]]:
    """The picture, shrunk to ``MOST_WIDTH`` so that a window costs little, and its boxes likewise."""
    scale = min(1.0, MOST_WIDTH / image.width)
    if scale < 1.0:
        image = image.resize((MOST_WIDTH, round(image.height * scale)), Image.Resampling.BOX)
    truth, unlabeled = (one.reshape(-1, 4) * np.float32(scale) for one in boxes)
    return image, truth, unlabeled


def _resample(
    rng: np.random.Generator,
    image: Image.Image,
    *,
    left: float,
    top: float,
    scale_x: float,
    scale_y: float,
    width: int,
    height: int,
) -> Luma:
    canvas = np.full((height, width), PAD_LUMA, np.uint8)
    x0, y0 = max(left, 0.0), max(top, 0.0)
    x1 = min(left + width / scale_x, float(image.width))
    y1 = min(top + height / scale_y, float(image.height))
    px0, py0 = round((x0 - left) * scale_x), round((y0 - top) * scale_y)
    px1, py1 = min(round((x1 - left) * scale_x), width), min(round((y1 - top) * scale_y), height)
    if px1 - px0 >= 1 and py1 - py0 >= 1 and x1 - x0 > 1 and y1 - y0 > 1:
        part = image.resize(
            (px1 - px0, py1 - py0), _RESAMPLE[int(rng.integers(len(_RESAMPLE)))], box=(x0, y0, x1, y1)
        )
        canvas[py0:py1, px0:px1] = np.asarray(part)
    return canvas


def paste_quad(rng: np.random.Generator, luma: Luma, plate: Luma, quad: NDArray[np.float32]) -> Luma:
    """Warps a flat plate (h, w) onto the corners ``quad`` (4, 2) of a copy of ``luma``."""
    x0, y0 = np.floor(quad.min(axis=0)).astype(int) - 3
    x1, y1 = np.ceil(quad.max(axis=0)).astype(int) + 3
    width = max(round(float(np.linalg.norm(quad[1] - quad[0]))), 4)
    height = max(round(float(np.linalg.norm(quad[3] - quad[0]))), 3)
    small = Image.fromarray(plate).resize((width * 2, height * 2), Image.Resampling.BOX)
    source = [(0, 0), (width * 2, 0), (width * 2, height * 2), (0, height * 2)]
    coefficients = perspective([(x - x0, y - y0) for x, y in quad.tolist()], source)
    size = (int(x1 - x0), int(y1 - y0))
    warped = np.asarray(
        small.transform(size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC), np.float32
    )
    mask = Image.new("L", small.size, 255).transform(
        size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR
    )
    alpha = np.asarray(mask, np.float32) / 255.0
    out = luma.astype(np.float32)
    cx0, cy0, cx1, cy1 = max(x0, 0), max(y0, 0), min(x1, luma.shape[1]), min(y1, luma.shape[0])
    if cx1 <= cx0 or cy1 <= cy0:
        return luma
    part = (slice(cy0, cy1), slice(cx0, cx1))
    cut = (slice(cy0 - y0, cy1 - y0), slice(cx0 - x0, cx1 - x0))
    if rng.random() < 0.6:  # a smooth body around the plate, so that the net does not learn the pasted edge
        pad = 0.15 + rng.random(2) * 1.2
        cx, cy = quad.mean(axis=0)
        bx0, bx1 = (
            int(max(cx - width * (0.5 + pad[0]), 0)),
            int(min(cx + width * (0.5 + pad[0]), luma.shape[1])),
        )
        by0, by1 = (
            int(max(cy - height * (0.5 + pad[1]), 0)),
            int(min(cy + height * (0.5 + pad[1]), luma.shape[0])),
        )
        shade = rng.uniform(5, 235)
        slope = np.linspace(-1, 1, max(by1 - by0, 1))[:, None] * rng.normal(0, 20)
        keep = rng.uniform(0.0, 0.5)
        out[by0:by1, bx0:bx1] = out[by0:by1, bx0:bx1] * keep + (shade + slope) * (1 - keep)
        if rng.random() < 0.4:  # a frame or a recess
            frame = rng.uniform(5, 235)
            edge = max(1, int(width * rng.uniform(0.01, 0.06)))
            qx0, qy0 = np.maximum(quad.min(axis=0).astype(int) - edge, 0)
            qx1, qy1 = quad.max(axis=0).astype(int) + edge
            out[qy0 : qy1 + 1, qx0 : qx1 + 1] = frame
    around = float(out[part].mean())
    gain = rng.uniform(0.6, 1.05)
    if rng.random() < 0.5:
        gain *= np.clip(around / max(float(warped.mean()), 1.0), 0.3, 1.2) ** 0.6
    blended = out[part] * (1 - alpha[cut]) + warped[cut] * gain * alpha[cut]
    out[part] = blended
    return np.clip(out, 0, 255).astype(np.uint8)


def photometric(rng: np.random.Generator, luma: Luma) -> Luma:
    """Disturbs a picture as light, lens, sensor and JPEG do, in this order."""
    values = luma.astype(np.float32) / 255.0
    if rng.random() < 0.5:
        values = values ** float(np.exp(rng.normal(0, 0.35)))
    values = values * float(np.exp(rng.normal(0, 0.25))) + rng.normal(0, 0.05)
    if rng.random() < 0.08:
        values = values * rng.uniform(0.15, 0.5)
    image = Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8))
    chance = rng.random()
    if chance < 0.25:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.1))))
    elif chance < 0.33:
        image = image.filter(ImageFilter.BoxBlur((float(rng.uniform(0.3, 2.0)), 0.0)))
    elif chance < 0.45:
        image = image.filter(ImageFilter.UnsharpMask(1, int(rng.integers(30, 150)), 0))
    out = np.asarray(image)
    if rng.random() < 0.4:
        noise = rng.normal(0, rng.uniform(1, 9), out.shape)
        out = np.clip(out + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        buffer = io.BytesIO()
        Image.fromarray(out).save(buffer, "JPEG", quality=int(rng.integers(30, 92)))
        out = np.asarray(Image.open(buffer))
    return out


def _burn_in(rng: np.random.Generator, luma: Luma, taken: NDArray[np.float32]) -> Luma:
    """Adds a recorder's clock near the upper or lower edge, unless it would cover a plate."""
    mask = lettering_mask(clock(rng), "sans", int(rng.integers(5)))
    high = int(rng.integers(7, 26))
    wide = min(round(mask.shape[1] * high / mask.shape[0]), luma.shape[1] - 4)
    left = int(rng.integers(1, luma.shape[1] - wide))
    inset = int(rng.integers(1, 30))
    top = inset if rng.random() < 0.5 else luma.shape[0] - high - inset
    if _overlaps(np.array([left, top, wide, high], np.float32), taken):
        return luma
    share = (
        np.asarray(Image.fromarray(mask).resize((wide, high), Image.Resampling.BILINEAR), np.float32) / 255
    )
    tone = float(rng.choice([rng.uniform(200, 255), rng.uniform(0, 60)], p=[0.8, 0.2]))
    out = luma.astype(np.float32)
    part = out[top : top + high, left : left + wide]
    if rng.random() < 0.3:  # on a bar of its own
        part[:] = 255.0 - tone
    part += (tone - part) * share
    return np.clip(out, 0, 255).astype(np.uint8)


def _bounds(quad: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = quad.min(axis=0), quad.max(axis=0)
    return np.concatenate([low, high - low]).astype(np.float32)


def _box_corners(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    x, y, w, h = boxes.T
    return np.stack([np.stack(p, -1) for p in ((x, y), (x + w, y), (x + w, y + h), (x, y + h))], 1).astype(
        np.float32
    )


def _overlaps(box: NDArray[np.float32], others: NDArray[np.float32]) -> bool:
    pad = 0.2 * float(box[2])
    return any(
        box[0] - pad < other[0] + other[2]
        and other[0] - pad < box[0] + box[2]
        and box[1] - pad < other[1] + other[3]
        and other[1] - pad < box[1] + box[3]
        for other in others
    )
