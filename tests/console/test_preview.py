"""The console's preview shows nothing of a found plate and no text of a missed one."""

import csv
import os
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from detector.reader import PlateReader
from firmware.console.aim import aim_lines, look
from firmware.console.plate_spots import PlateSpots
from firmware.console.preview import BLOT, COLUMNS, ROWS, SHADES, masked_preview
from firmware.screen import screened, screened_link, screened_log
from firmware.settings.config import PLATE_LEAST_PX, Config, config_text
from hw.camera import Frame
from hw.clock import TimeState, UtcTime
from tests.tools.bench_unit import BenchUnit

pytestmark = pytest.mark.slow

Scene = tuple[NDArray[np.uint8], list[tuple[float, float, float, float]], list[str]]
FULL = os.environ.get("ALPR_FAULTS") == "full"
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0)


def corners(box: tuple[float, float, float, float]) -> list[tuple[float, float]]:
    x, y, w, h = box
    return [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]


def scenes(folder: Path, count: int) -> list[Scene]:
    """Real pictures of the dev split: luma, plate boxes, texts."""
    rows = defaultdict(list)
    with (folder / "labels.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "dev" and row["w"]:
                rows[row["image"]].append(row)
    found = []
    for name in sorted(rows)[:: max(1, len(rows) // count)][:count]:
        luma = np.asarray(Image.open(folder / "images" / Path(name).name).convert("L"))
        boxes = [tuple(float(row[key]) for key in "xywh") for row in rows[name]]
        found.append((luma, boxes, [row["text"] for row in rows[name] if row["text"]]))
    return found  # type: ignore[return-value]


@pytest.fixture(scope="module")
def real(shared_data: Path) -> list[Scene]:
    return [
        scene
        for name in ("us-scenes", "eu-scenes", "uk-single-seq")
        for scene in scenes(shared_data / name, 9 if not FULL else 1 << 20)
    ]


@pytest.fixture(scope="module")
def everything(shared_data: Path, real: list[Scene]) -> list[Scene]:
    """Every real scene of the dev split, with ALPR_FAULTS=full."""
    others = (
        "br-scenes",
        "us-closeups",
        "ro-dashcam",
        "open-lpr",
        "vn-toll-seq",
        "nl-clips",
        "uk-motorway-seq",
    )
    return real + [scene for name in others if FULL for scene in scenes(shared_data / name, 1 << 20)]


def frame_of(luma: NDArray[np.uint8]) -> Frame:
    time = UtcTime(us=0, error_us=0, state=TimeState.UNKNOWN)
    return Frame(
        luma=luma,
        chroma=None,
        lores=None,
        sequence=0,
        captured=time,
        exposure_us=None,
        gain=None,
        source="test",
    )


def test_no_pixel_of_a_found_plate_changes_the_preview(real: list[Scene]) -> None:
    noise = np.random.default_rng(5)
    shown = 0
    for luma, boxes, _ in real:
        marked = [corners(box) for box in boxes]
        other = luma.copy()
        for x, y, w, h in boxes:
            area = other[max(0, int(y)) : int(np.ceil(y + h)), max(0, int(x)) : int(np.ceil(x + w))]
            area[:] = noise.integers(0, 256, area.shape)
        before, after = masked_preview(luma, marked), masked_preview(other, marked)
        assert before == after
        shown += before is not None
    assert shown >= len(real) // 3


def test_blotted_cells_reveal_nothing_of_the_pixels_under_them(real: list[Scene]) -> None:
    """The correlation of what is shown at a plate's cells with its brightness: there is but one sign."""
    for luma, boxes, _ in real:
        preview = masked_preview(luma, [corners(box) for box in boxes])
        if preview is None:
            continue
        height, width = luma.shape
        for x, y, w, h in boxes:
            rows = range(int(y / height * ROWS), min(ROWS - 1, int((y + h) / height * ROWS)) + 1)
            columns = range(int(x / width * COLUMNS), min(COLUMNS - 1, int((x + w) / width * COLUMNS)) + 1)
            assert {preview[row][column * 2 : column * 2 + 2] for row in rows for column in columns} == {BLOT}


def test_the_detector_blots_the_plates_of_real_scenes(real: list[Scene]) -> None:
    spots, covered, total = PlateSpots(), 0, 0
    for luma, boxes, _ in real:
        preview = masked_preview(luma, [box.corners for box in spots(frame_of(luma)).blots])
        height, width = luma.shape
        for x, y, w, h in boxes:
            row, column = int((y + h / 2) / height * ROWS), int((x + w / 2) / width * COLUMNS)
            total += 1
            covered += preview is None or preview[row][column * 2 : column * 2 + 2] == BLOT
    assert covered / total >= 0.95, f"{covered} of {total}"


def test_no_plate_text_is_ever_on_the_console_over_real_scenes(
    everything: list[Scene], make_bench: Any
) -> None:
    spots, at = PlateSpots(), iter(range(10_000))

    def picture() -> Any:
        luma = everything[next(at) % len(everything)][0]
        return luma, [box.corners for box in spots(frame_of(luma)).blots]

    unit = BenchUnit(picture=picture)
    texts = {text for _, _, several in everything for text in several if len(text) >= 4}
    unit.logs = [f"stray library line with {text} in it" for text in sorted(texts)]
    unit.logs += [f"stray {text[:3]} {text[3:]} split, {text[:3]}-{text[3:]}" for text in sorted(texts)]
    bench = make_bench(unit)
    bench.enter()
    for _ in range(len(everything)):
        bench.ask("aim preview 0")
    for command in (
        "status",
        "storage",
        "logs 999",
        "selftest",
        "network",
        "camera",
        "time",
        "update",
        "help",
    ):
        bench.ask(command)
    shown = bench.hands.seen.upper()
    records = b"".join(record.output for record in bench.log.records).decode().upper()
    folded = shown.replace(" ", "").replace("-", "")
    assert len(texts) >= 15
    assert next(at) == len(everything)
    for text in texts:
        assert text not in shown
        assert text not in folded
        assert text not in records


def plate(text: str, width: int) -> NDArray[np.uint8]:
    """A drawn plate, uint8 (width / 2, width)."""
    picture = Image.new("L", (width, width // 2), 230)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(size=width / 7 * 1.45)
    for place, letter in enumerate(text):
        spot = (width * (0.06 + 0.126 * (place + 0.5)), width * 0.275)
        pen.text(spot, letter, font=font, fill=20, anchor="mm")
    return np.asarray(picture)


def told_bits(share: float, *, views: int, texts: int = 24) -> float:
    """What a preview tells of a missed plate of this share of the view's width, in bits (Renyi, order 2).

    The attacker knows scene, place, size, type and ink, all but the text: two texts in how many give the same
    preview? Seven letters of 33 are 35 bits. Light and scene differ from view to view.
    """
    dice = random.Random(1)
    width, same = int(480 * share), []
    for _ in range(views):
        scene = np.full((270, 480), dice.randrange(40, 150), np.uint8)
        scene[: dice.randrange(60, 120)] = dice.randrange(120, 255)
        scene[:, dice.randrange(200, 400) :] = dice.randrange(20, 200)
        x = dice.randrange(min(0, 480 - width), max(0, 480 - width) + 1)
        y = dice.randrange(min(0, 270 - width // 2), max(0, 270 - width // 2) + 1)
        seen = []
        for _ in range(texts):
            picture = Image.fromarray(scene)
            picture.paste(Image.fromarray(plate("".join(dice.choices(LETTERS, k=7)), width)), (x, y))
            seen.append(masked_preview(np.asarray(picture), []))
        same.append(np.mean([one == other for at, one in enumerate(seen) for other in seen[:at]]))
    return float(-np.log2(max(np.mean(same), 1 / texts**2)))


@pytest.mark.thorough_rows
@pytest.mark.parametrize("share", SHARES if FULL else SHARES[::3])
def test_a_plate_that_was_missed_keeps_its_text_however_near_it_is(share: float) -> None:
    assert told_bits(share, views=200 if FULL else 16) <= 3.0


@pytest.mark.thorough
def test_no_plate_is_read_from_a_preview_without_masks(shared_data: Path) -> None:
    """Real plates that fill a tenth to twice the view, and the reader itself at the preview's cells."""
    reader = PlateReader.from_models()
    with (shared_data / "us-crops" / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "dev" and len(row["text"]) >= 5]
    rows = rows if FULL else rows[:: len(rows) // 30]
    hits, others, control = 0, 0, 0
    for share in (0.1, 0.3, 0.6, 1.0, 1.5, 2.0):
        read = []
        for row in rows:
            near, box = near_plate(shared_data / "us-crops" / "images" / Path(row["image"]).name, share)
            shown = masked_preview(near, [])
            assert shown is not None
            cells = np.array([[SHADES.index(line[2 * at]) for at in range(COLUMNS)] for line in shown])
            luma = np.asarray(Image.fromarray((cells * 100).astype(np.uint8)).resize((960, 540)))
            read.append(reader.read_at(luma, box).text.text)
            control += share == 0.6 and reader.read_at(near, box).text.text == row["text"]
        texts = [row["text"] for row in rows]
        hits += sum(right(one, text) for one, text in zip(read, texts, strict=True))
        others += sum(right(one, text) for one, text in zip(read, texts[1:] + texts[:1], strict=True))
        assert [text for one, text in zip(read, texts, strict=True) if one == text] == []
    assert control >= len(rows) // 2  # the very plates are read where nothing is blurred
    assert hits <= others + 4 * (others + 1) ** 0.5  # no letter more than by reading another plate's preview


def near_plate(path: Path, share: float) -> tuple[NDArray[np.uint8], Any]:
    """A real plate in the middle of a view of 960 x 540, and its corners."""
    crop = Image.open(path).convert("L")
    width = int(960 * share)
    crop = crop.resize((width, max(8, width * crop.height // crop.width)))
    view = Image.new("L", (960, 540), 110)
    x, y = (960 - crop.width) // 2, (540 - crop.height) // 2
    view.paste(crop, (x, y))
    box = ((x, y), (x + crop.width, y), (x + crop.width, y + crop.height), (x, y + crop.height))
    return np.asarray(view), box


def right(read: str, text: str) -> int:
    """Letters in their places."""
    return sum(one == other for one, other in zip(read, text, strict=False))


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_a_near_plate_gives_no_preview(share: float) -> None:
    luma = np.full((540, 960), 90, np.uint8)
    width = 960 * share
    assert masked_preview(luma, [corners((480 - width / 2, 100.0, width, 200.0))]) is None
    view = look(luma, [corners((480 - width / 2, 100.0, width, 200.0))], exposure_us=None, gain=None)
    assert "too close" in " ".join(aim_lines(view, preview=True))


def test_a_preview_is_small_and_made_of_a_few_signs() -> None:
    luma = np.tile(np.linspace(0, 255, 1920).astype(np.uint8), (1080, 1))
    preview = masked_preview(luma, [corners((900.0, 500.0, 200.0, 100.0))])
    assert preview is not None
    assert [len(line) for line in preview] == [2 * COLUMNS] * ROWS
    assert set("".join(preview)) <= set(SHADES + BLOT)
    assert preview[0][0] != preview[0][-1]


def test_corners_outside_the_picture_are_no_error() -> None:
    luma = np.full((360, 640), 90, np.uint8)
    assert masked_preview(luma, [corners((-50.0, -20.0, 100.0, 40.0)), corners((600.0, 340.0, 90.0, 60.0))])


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plate 7ABC123 seen", "plate ***** seen"), ("7abc123", "*****"), ("AB 123 CD", "*****"),
        ("ALLSTAR", "*****"), ("HTTP error 502 on usb0", "HTTP error 502 on usb0"),
        ("camera opened, 20 frames/s", "camera opened, 20 frames/s"), ("7ABC-123", "*****-123"),
        ("FZR ULZ, FZR-ULZ", "*****, *****"), ("INFO GPS lost", "INFO GPS lost"), ("SD card", "SD card"),
        ("M-AB 123, HH-AB 1234; B-M 1", "*****, *****; B-M 1"), ("AB-12-CD, 12-ABC-3", "*****, *****"),
        ("KA 01 AB 1234", "*****"), ("ABC\x1b1234 ABC\t1234", "***** *****"),
        ("ABC_1234.jpg ABC/1234 ABC: 1234", "*****.jpg ***** *****"), ("1 of 2, 30 x 20", "1 of 2, 30 x 20"),
    ],
)  # fmt: skip
def test_text_shaped_like_a_plate_is_blotted_out(text: str, safe: str) -> None:
    assert screened(text) == safe


@pytest.mark.parametrize(
    ("line", "safe"),
    [
        ("wlan0    up    10.0.3.7 received 1", "wlan0    up    10.0.3.7 received 1"),
        ("end0     down  - received 1", "end0     down  - received 1"),
        ("7ABC123  up    - received 1", "*****  up    - received 1"),
        ("wlan0 7ABC123 up", "wlan0 ***** up"),
    ],
)
def test_a_link_keeps_the_name_that_the_kernel_gives_and_no_other(line: str, safe: str) -> None:
    assert screened_link(line) == safe


@pytest.mark.parametrize(
    ("line", "safe"),
    [
        ("seen 2763688 there", "seen ***** there"),
        ("seen 276 3688, 276-3688", "seen *****, *****"),
        (
            "2026-11-25 06:14:02 restart 3 after 502 ms, v1.26.4",
            "2026-11-25 06:14:02 restart 3 after 502 ms, v1.26.4",
        ),
        (
            '2026-11-27T00:51:09+0000 reader: {"timestamp": "2026-11-27T00:51:09.80962Z"}',
            '2026-11-27T00:51:09+0000 reader: {"timestamp": "2026-11-27T00:51:09.80962Z"}',
        ),
        ("setting the clock takes CAP_SYS_TIME", "setting the clock takes CAP_SYS_TIME"),
        ("2026-11-27T00:51:09Z7ABC123 CAP_SYS_TIMEX", "2026-11-*****:51:***** *****_*****"),
        ("AB2026-11-27T00:51:09", "*****-11-*****:51:09"),
        ("2026-11-27T00:51 27T00 2026-99-27T00:51:09", "2026-11-*****:51 ***** 2026-99-*****:51:09"),
        ("7ABC123 at 2026-11-27T00:51:09Z", "***** at 2026-11-27T00:51:09Z"),
    ],
)
def test_numbers_that_could_be_plates_are_blotted_out_of_log_lines(line: str, safe: str) -> None:
    assert screened_log(line) == safe


def test_every_line_of_a_view_fits_in_80_columns_of_plain_ascii() -> None:
    luma = np.tile((np.arange(900) % 256).astype(np.uint8)[:, None], (1, 1600))
    wide = [((10, 10), (1500, 10), (1500, 90), (10, 90)), ((10, 100), (40, 130), (35, 140), (5, 110))]
    view = look(luma, wide, exposure_us=10_000, gain=16.0)
    lines = [*aim_lines(view, preview=False), *aim_lines(view, preview=True)]
    assert all(line.isascii() and len(line) < 80 for line in lines), lines


@pytest.mark.parametrize(
    ("width", "advice"), [(59, "too small: under 60 px"), (61, "read; 90 px is better"), (95, "good")]
)
def test_aim_asks_for_no_more_than_the_configuration_says_is_read(width: int, advice: str) -> None:
    luma = np.zeros((200, 400), np.uint8)
    luma[:, ::4] = 255
    corners = ((10, 10), (10 + width, 10), (10 + width, 40), (10, 40))
    (_, line) = aim_lines(look(luma, [corners], exposure_us=None, gain=None), preview=False)
    assert line.endswith(advice)
    assert f"{PLATE_LEAST_PX} px wide or more" in config_text(Config())
