"""Finds and reads the plates of one frame. One class contains the whole path of a still picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .card import DetectorCard, FindRules, NamerCard, ObstacleCard, ReaderCard
from .ctc import spelt
from .errors import CardError, DegenerateCornersError, NetAnswerError, PictureError
from .find import decode, letterboxed, source_of, to_boxes
from .frame_average import View
from .jurisdictions import FormatPrior
from .lettering import Lettering, TextSigns, cut_wide, signs_of
from .look import Look, Stopwatch
from .obstacle import ObstacleFinder
from .ocr import PatchReader, Sight
from .place_fit import runs_out
from .plates import U8, Confirmation, Corners, Evidence, FrameReadings, PlateBox, PlateReading
from .runtime import Net, TfliteNet
from .state_namer import StateNamer
from .stillness import StillScene
from .vote import Decoding, Vote

MODELS = Path(__file__).parent / "models"
DETECTOR_CARD = "plate-detector.toml"
READER_CARD = "plate-reader.toml"
NAMER_CARD = "state-namer.toml"
OBSTACLE_CARD = "obstacle-finder.toml"
LETTERING = "lettering.toml"
# Drawn for this project; the state is that of the plate's design.
KNOWN_PLATE, KNOWN_TEXT, KNOWN_STATE = MODELS / "known-plate.png", "1GRZ717", "US-CA"


class PlateReader:
    """The nets and the array code around them. Not thread-safe: use one reader per thread."""

    def __init__(
        self,
        detector: Net,
        finding: DetectorCard,
        reader: Net,
        reading: ReaderCard,
        *,
        lettering: Lettering | None = None,
        obstacles: ObstacleFinder | None = None,
        namer: StateNamer | None = None,
    ) -> None:
        """lettering lowers the trust in texts that are not on a plate, obstacles in partly hidden ones.

        None trusts all texts. Without a namer the reader's own net names the state. Raises CardError if the
        namer's codes differ from the reader's.
        """
        if namer is not None and namer.card.naming.jurisdictions != reading.text.jurisdictions:
            what = f"are others than text.jurisdictions of {reading.path}"
            raise CardError(namer.card.path, "naming.jurisdictions", what)
        self._detector = detector
        self._finding = finding
        self._patches = PatchReader(reader, reading)
        self._reading = reading
        self._lettering, self._obstacles, self._namer = lettering, obstacles, namer
        self._scene = StillScene()
        doubtful = min(finding.find.threshold, finding.find.doubtful_from)
        self._in_doubt = replace(finding.find, threshold=doubtful)
        self.decoding = Decoding(reading.text, reading.confidence, FormatPrior(reading.text.jurisdictions))

    @classmethod
    def from_models(
        cls,
        folder: Path | None = None,
        threads: int = 1,
        *,
        every_box_from: float | None = None,
        doubt: bool = True,
    ) -> Self:
        """Loads the nets from ``folder`` (default: the shipped ``detector/models``).

        ``every_box_from``: report every box with at least this score, regardless of the cards.
        ``doubt``: lower the trust in texts that seem to be on no plate or on only a part of one. If the
        folder has no models for that, or no state namer, the shipped ones are used. Raises
        MissingRuntimeError, MissingModelError, CardError, SwappedModelError, ModelShapeError and, for the
        shipped nets, NetAnswerError if they fail ``prove``.
        """
        folder = MODELS if folder is None else folder
        finding, reading = DetectorCard.load(folder / DETECTOR_CARD), ReaderCard.load(folder / READER_CARD)
        if every_box_from is not None:
            rules = replace(finding.find, threshold=every_box_from, doubtful_from=every_box_from)
            finding = replace(finding, find=rules)
            reading = replace(reading, plate=replace(reading.plate, least=0.0))
        own = {
            name: folder if (folder / name).is_file() else MODELS
            for name in (LETTERING, OBSTACLE_CARD, NAMER_CARD)
        }
        naming = NamerCard.load(own[NAMER_CARD] / NAMER_CARD)
        find, read, name = (TfliteNet(card, threads=threads) for card in (finding, reading, naming))
        lettering, obstacles = None, None
        if doubt:
            lettering = Lettering.load(own[LETTERING] / LETTERING)
            hiding = ObstacleCard.load(own[OBSTACLE_CARD] / OBSTACLE_CARD)
            obstacles = ObstacleFinder(TfliteNet(hiding, threads=threads), hiding)
        namer = StateNamer(name, naming)
        reader = cls(find, finding, read, reading, lettering=lettering, obstacles=obstacles, namer=namer)
        if folder == MODELS:
            reader.prove()
        return reader

    def prove(self) -> None:
        """Reads a drawn plate whose text and state are known. Raises NetAnswerError if either is wrong.

        A net that computes wrongly rarely raises an error: it finds nothing, or reads nonsense.
        """
        with Image.open(KNOWN_PLATE) as picture:
            found = self.read(np.asarray(picture.convert("L"))).readings
        if not found or found[0].text.text != KNOWN_TEXT:
            net = self._reading.model.file if found else self._finding.model.file
            what = "reads another text on" if found else "finds no plate on"
            raise NetAnswerError(net, f"{what} {KNOWN_PLATE.name}, the drawn plate it is tried on at start")
        told = found[0].text.jurisdiction
        if self._namer is not None and (not told or told[0][0] != KNOWN_STATE):
            what = f"names another state on {KNOWN_PLATE.name}, the drawn plate it is tried on at start"
            raise NetAnswerError(self._namer.card.model.file, what)

    @property
    def model_hashes(self) -> dict[str, str]:
        """sha256 (hex) of each model file by its name."""
        models = [self._finding.model, self._reading.model]
        models += [] if self._namer is None else [self._namer.card.model]
        models += [] if self._obstacles is None else [self._obstacles.card.model]
        return {model.file: model.sha256 for model in models}

    @property
    def report_from(self) -> float:
        """The confidence from which a text counts as sure, from the reader's card."""
        return self._reading.confidence.report_from

    @property
    def net_size(self) -> tuple[int, int]:
        """(height, width) of the detector's input: the best size for a camera's small stream."""
        return self._detector.size

    def read(
        self, luma: U8, lores: U8 | None = None, *, wanted: Callable[[PlateBox], bool | str] | None = None
    ) -> FrameReadings:
        """Reads all plates of one frame. luma: uint8 (H, W); lores: uint8 (h, w) of the same field of view.

        ``wanted`` (a tracker's ``wants_text``) is called for each box. False leaves the box unread because
        its pass is settled; a text is that of the pass, and one look that gives it is enough. With
        ``wanted``, the frames are those of a camera, in order: boxes are reused if nothing moved since the
        detector last looked, and a picture that repeats the one before it, as when a stream stalls, is not
        read. Without it, the frame is a single picture, and a doubtful plate is read in more cuts. A box in
        which the reader's net sees no plate is refused, by the card's ``[plate]``. Raises PictureError for an
        array of the wrong kind.
        """
        watch = Stopwatch()
        boxes = self._find(luma, lores, self._in_doubt, watch, None if wanted is None else self._scene)
        if wanted is not None and self._scene.repeated:
            no_plates = tuple(box for box in boxes if self._scene.refused(box))
            plates = tuple(box for box in boxes if box not in no_plates)
            return FrameReadings(readings=(), unread=plates, refused=no_plates, repeats=True, ms=watch.ms)
        readings, unread, confirmed, refused = [], [], [], []
        for box in boxes:
            if wanted is not None and self._scene.refused(box):
                refused.append(box)
                continue
            wish = wanted is None or wanted(box)
            if not wish:
                unread.append(box)
                continue
            before = dict(watch.ms)
            try:
                first = self._patches.first(luma, box, watch)
                if wish == spelt(first.path):
                    confirmed.append(self._confirmation(luma, box, first))
                    continue
                sight = self._patches.see_plate(luma, box, first, watch, still=wanted is None)
                if sight is None:
                    refused.append(box)
                    self._scene.refuse(box)
                else:
                    sight = self._named(luma, self._trusted(luma, sight), watch)
                    readings.append(self._reading_of(box, sight, before, watch))
            except DegenerateCornersError:
                continue  # a box that covers no area of this frame is not a plate
        return FrameReadings(
            readings=tuple(readings),
            unread=tuple(unread),
            confirmed=tuple(confirmed),
            refused=tuple(refused),
            ms=watch.ms,
        )

    def see_together(self, views: Sequence[View]) -> Evidence | None:
        """Reads the average of a pass's looks; None if too few are alike or the net gives no number.

        A net that gives no number fails at the next frame too, where the error names it.
        """
        try:
            return self._patches.read_together(views)
        except NetAnswerError:
            return None

    def turned(self, patch: U8) -> int:
        """Returns 1 if a pass's best patch shows its plate turned by 180 degrees, -1 if it is upright.

        Returns 0 if that is unclear or the net gives no number; see ``see_together``.
        """
        try:
            return self._patches.turned(patch)
        except NetAnswerError:
            return 0

    def find(self, luma: U8, lores: U8 | None = None) -> tuple[PlateBox, ...]:
        """The boxes that the detector is sure of without the reader, best first. Raises PictureError."""
        return self._find(luma, lores, self._finding.find, Stopwatch())

    def read_at(self, luma: U8, corners: Corners) -> PlateReading:
        """Reads the text inside known corners. Raises DegenerateCornersError, PictureError."""
        if luma.ndim != 2 or luma.dtype != np.uint8:
            raise PictureError(f"luma must be uint8 (height, width), is {luma.dtype} {luma.shape}")
        box, watch = PlateBox(corners=corners, confidence=1.0), Stopwatch()
        sight = self._named(luma, self._patches.see(luma, box, watch), watch)
        return self._reading_of(box, sight, {}, watch)

    def corners_at(self, luma: U8, box: PlateBox) -> Corners:
        """The corners of a plate as the reader's net sees them, if they are plausible for the box.

        They show the angle of a camera; the detector's own corners stay close to upright. Raises
        DegenerateCornersError.
        """
        return self._patches.corners_at(luma, box)

    def name_chances(self, luma: U8, box: PlateBox) -> NDArray[np.float64]:
        """The state namer's own log-probabilities (J,) for a plate, for measurements.

        Raises DegenerateCornersError, or ValueError if there is no namer.
        """
        if self._namer is None:
            raise ValueError("this reader has no state namer")
        return self._namer.log_chances(luma, box.corners)

    def invoke_bare(self, looks: int) -> None:
        """Runs the detector once and the reader's net ``looks`` times on gray, as a baseline for benches."""
        self._detector.invoke(np.full(self._detector.size, 114, np.uint8))
        patch = np.full((self._reading.input.height, self._reading.input.width), 128, np.uint8)
        for _ in range(looks):
            self._patches.invoke_bare(patch)

    def _find(
        self,
        luma: U8,
        lores: U8 | None,
        rules: FindRules,
        watch: Stopwatch,
        scene: StillScene | None = None,
    ) -> tuple[PlateBox, ...]:
        source, place = source_of(luma, self._detector.size, lores)
        picture = None
        if scene is not None:
            if scene.restless:
                picture = letterboxed(source, place, self._detector.size, rules.padding)
                source = picture[: place.height, : place.width]
            still = scene.boxes_of(source, luma.shape, source.shape[1] / place.width)
            if still is not None:
                watch.lap("shrink")
                return still
        if picture is None:
            picture = letterboxed(source, place, self._detector.size, rules.padding)
        watch.lap("shrink")
        outputs = self._detector.invoke(picture)
        watch.lap("find")
        boxes = to_boxes(decode(outputs, rules), place)
        if scene is not None:
            scene.keep(boxes)
        watch.lap("decode")
        return boxes

    @staticmethod
    def _confirmation(luma: U8, box: PlateBox, look: Look) -> Confirmation:
        cut = runs_out(box, (luma.shape[0], luma.shape[1]))
        return Confirmation(box=box, patch=look.patch.luma, sureness=look.sureness, cut=cut)

    def lettering_signs(self, luma: U8, box: PlateBox, evidence: Evidence) -> NDArray[np.float64]:
        """The inputs of the lettering model, float64 (N,). Raises DegenerateCornersError."""
        return signs_of(cut_wide(luma, box), self._text_signs(box, evidence))

    def _text_signs(self, box: PlateBox, evidence: Evidence) -> TextSigns:
        text = spelt(evidence.paths[0])
        chances = evidence.jurisdiction.astype(np.float64)
        fits = self.decoding.prior.fits(text, chances) if text else 0.0
        return TextSigns(text=text, fits=fits, box=box)

    def _trusted(self, luma: U8, sight: Sight) -> Sight:
        """Lowers a sight's trust if its text seems to be on no plate, or if something hides a part."""
        evidence = sight.evidence
        if (self._lettering is None and self._obstacles is None) or evidence.trust < 1.0:
            return sight
        if not evidence.paths[0]:
            return sight
        box = PlateBox(corners=sight.corners, confidence=evidence.score)
        wide, plate, whole = cut_wide(luma, box), 1.0, 1.0
        if self._lettering is not None:
            plate = self._lettering.trust(signs_of(wide, self._text_signs(box, evidence)))
        if self._obstacles is not None:
            whole = self._obstacles.trust(wide)
        if plate * whole == 1.0:
            return sight
        evidence = replace(evidence, trust=plate * whole)
        return replace(sight, evidence=evidence, plateness=sight.plateness * plate)

    def _named(self, luma: U8, sight: Sight, watch: Stopwatch) -> Sight:
        """Adds the namer's answer to a sight if the plate is wide enough for it."""
        namer, evidence = self._namer, sight.evidence
        if namer is None or evidence.width_px < namer.card.naming.least_width_px:
            return sight
        watch.lap("text")
        evidence = namer.named(luma, sight.corners, evidence)
        watch.lap("read")
        return replace(sight, evidence=evidence)

    def _reading_of(
        self, box: PlateBox, sight: Sight, before: Mapping[str, float], watch: Stopwatch
    ) -> PlateReading:
        vote = Vote(self.decoding, (sight.evidence,))
        watch.lap("text")
        return PlateReading(
            box=PlateBox(corners=sight.corners, confidence=box.confidence),
            judged=vote,
            patch=sight.patch,
            evidence=sight.evidence,
            plateness=sight.plateness,
            ms={stage: ms - before.get(stage, 0.0) for stage, ms in watch.ms.items()},
        )
