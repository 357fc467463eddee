"""A model's card: the TOML file beside a .tflite that names its hash, its tensors and its numbers.

All nets have the sections ``[model]``, ``[input]`` and ``[outputs]``. The detector adds ``[find]``; the
reader ``[patch]``, ``[text]``, ``[confidence]`` and ``[plate]``; the state namer ``[patch]`` and
``[naming]``; the obstacle finder ``[patch]`` and ``[hiding]``. ``[provenance]`` and ``[figures]`` are for
people and may hold anything. Any other unknown name is refused, so that a misspelled threshold cannot
silently fall back to a default.
"""

from __future__ import annotations

import hashlib
import tomllib
from abc import ABC, abstractmethod
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, get_type_hints

from .errors import CardError, MissingModelError, SwappedModelError
from .plates import CLASSES

MOST_CARD_BYTES = 256 * 1024
MOST_MODEL_BYTES = 64 * 1024 * 1024  # a Pi reads the whole file into memory; the shipped ones are under 4 MiB
_FREE_SECTIONS = {"provenance", "figures"}

Rules = TypeVar("Rules")


def ranged(low: float, high: float, default: Any = MISSING) -> Any:
    """A card field with its allowed range."""
    extra: dict[str, Any] = {} if default is MISSING else {"default": default}
    return field(metadata={"low": low, "high": high}, **extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """``[model]``: the model file, which is beside the card."""

    kind: str
    file: str
    sha256: str
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetInput:
    """``[input]``: the one input tensor, (1, height, width, 1) of luma / 255."""

    height: int = ranged(16, 4096)
    width: int = ranged(16, 4096)
    name: str = "luma"


@dataclass(frozen=True, slots=True, kw_only=True)
class FindRules:
    """``[find]``: how maps become boxes. ``threshold``: the score from which a box needs no check, 0..1.

    ``doubtful_from``: the score from which the reader's net checks a box; the default is ``threshold``.
    """

    stride: int = ranged(1, 64, 4)
    threshold: float = ranged(0.01, 0.99, 0.3)
    doubtful_from: float = ranged(0.01, 1.0, 1.0)
    nms_overlap: float = ranged(0.05, 0.95, 0.35)  # two boxes with at least this IoU are one plate
    most: int = ranged(1, 64, 12)  # at most this many plates are read per frame, which bounds its time
    padding: int = ranged(0, 255, 114)  # luma right of and below the letterboxed picture


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchRules:
    """``[patch]``: how a patch is cut out and its contrast set.

    Margins are shares of the plate's size, added in total: half on either side. ``second_look``: a first
    look less sure than ``second_look_below`` is followed by a second cut with other margins, and both
    count. With ``trust_corners``, that cut and the reported box follow the corners that the net saw in the
    first patch; otherwise they follow the detector's. In a still picture, a last look less sure than
    ``more_looks_below`` is followed by more cuts (``still_cuts.CUTS``).
    """

    margin_x: float = ranged(-0.2, 1.0, 0.08)
    margin_y: float = ranged(-0.2, 1.0, 0.12)
    mean: float = ranged(0, 255, 128.0)
    deviation: float = ranged(1, 128, 50.0)
    least_deviation: float = ranged(0.1, 128, 6.0)
    second_look: bool = True
    second_look_below: float = ranged(0, 1.01, 0.7)
    more_looks_below: float = ranged(0, 1.01, 0.95)
    trust_corners: bool = False
    second_margin_x: float = ranged(-0.2, 1.0, 0.02)
    second_margin_y: float = ranged(-0.2, 1.0, 0.06)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRules:
    """``[text]``: how columns become texts."""

    jurisdictions: tuple[str, ...]
    temperature: float = ranged(0.1, 10, 1.0)  # divides the columns' logits
    smoothing: float = ranged(1e-6, 0.2, 1e-3)  # share of "could be anything" in each column
    slots_weight: float = ranged(0, 4, 0.3)  # of the second head's log-probability in a text's score
    prior_weight: float = ranged(0, 2, 0.25)  # of the formats' log-probability
    unreadable_below: float = ranged(0, 1, 0.4)  # a slot whose best character is less likely is '?'
    beam: int = ranged(1, 64, 8)
    pass_exponent: float = ranged(0, 1, 0.6)  # n frames of a pass count as n ** this, since they err alike


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceRules:
    """``[confidence]``: a logistic model over the features of ``confidence.py``, fitted on held-out plates.

    It has a ``bias`` and one weight per feature. ``report_from``: the confidence from which a text is
    reported as sure (by default, that at which 95 % of the calibration texts were right). ``usual_score``:
    the detector's usual score for a plate, 0..1, from the mean of its log-odds; it is used for a plate
    whose corners were given, so that no detector scored it.
    """

    bias: float = ranged(-50, 50, 0.0)
    posterior: float = ranged(-50, 50, 1.0)
    likelihood: float = ranged(-50, 50, 0.0)
    weakest: float = ranged(-50, 50, 0.0)
    agreement: float = ranged(-50, 50, 0.0)
    slots: float = ranged(-50, 50, 0.0)
    width: float = ranged(-50, 50, 0.0)
    score: float = ranged(-50, 50, 0.0)
    format: float = ranged(-50, 50, 0.0)
    frames: float = ranged(-50, 50, 0.0)
    report_from: float = ranged(0, 1, 0.5)
    usual_score: float = ranged(0, 1, 0.88)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateRules:
    """``[plate]``: a logistic model over the signs of ``plateness.py`` that says whether a box holds a plate.

    It was fitted on plates and on false boxes that no net was trained on. A box with a lower probability
    than ``least`` is not reported; 0 reports every box.
    """

    bias: float = ranged(-50, 50, 0.0)
    sureness: float = ranged(-50, 50, 0.0)
    characters: float = ranged(-50, 50, 0.0)
    legible: float = ranged(-50, 50, 0.0)
    width: float = ranged(-50, 50, 0.0)
    score: float = ranged(-50, 50, 1.0)
    least: float = ranged(0, 1, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamingRules:
    """``[naming]``: how the namer's answer is combined with the reader's.

    ``jurisdictions`` must be those of the reader's card. The log-probability of each is the reader's times
    ``reader_weight`` plus the namer's times ``namer_weight``. The namer is not asked about plates narrower
    than ``least_width_px`` in the frame.
    """

    jurisdictions: tuple[str, ...]
    reader_weight: float = ranged(0, 4, 1.0)
    namer_weight: float = ranged(0, 4, 1.0)
    least_width_px: float = ranged(0, 1000, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class HidingRules:
    """``[hiding]``: a text is fully trusted if no column's log-odds of a hidden character reach this."""

    clear_below: float = ranged(-30, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetCard(ABC):
    """The fields of every net's card. Each other field of a card is a section of its own."""

    KIND: ClassVar[str]
    OUTPUTS: ClassVar[frozenset[str]]
    OPTIONAL: ClassVar[frozenset[str]] = frozenset()

    path: Path
    model: ModelFile
    input: NetInput
    outputs: dict[str, str]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a card. Raises MissingModelError, CardError."""
        hints = get_type_hints(cls)
        own = [one.name for one in fields(cls)[len(fields(NetCard)) :]]
        table, common = _open(path, cls.KIND, cls.OUTPUTS, cls.OPTIONAL, set(own))
        return cls(path=path, **common, **{name: _section(path, table, name, hints[name]) for name in own})

    @property
    @abstractmethod
    def shapes(self) -> dict[str, tuple[int | None, ...]]:
        """The shape of each output, batch axis included; None: any length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorCard(NetCard):
    """Card of the plate detector."""

    KIND: ClassVar[str] = "plate-detector"
    OUTPUTS: ClassVar[frozenset[str]] = frozenset({"heat", "box", "corners"})

    find: FindRules

    @property
    def shapes(self) -> dict[str, tuple[int | None, ...]]:
        """The shape of each output, batch axis included; None: any length."""
        cells = self.input.height // self.find.stride, self.input.width // self.find.stride
        return {role: (1, *cells, depth) for role, depth in (("heat", 1), ("box", 4), ("corners", 8))}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderCard(NetCard):
    """Card of the plate reader."""

    KIND: ClassVar[str] = "plate-reader"
    OUTPUTS: ClassVar[frozenset[str]] = frozenset({"columns"})
    OPTIONAL: ClassVar[frozenset[str]] = frozenset({"slots", "jurisdiction", "corners"})

    patch: PatchRules
    text: TextRules
    confidence: ConfidenceRules
    plate: PlateRules = PlateRules()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a card. Raises MissingModelError, CardError."""
        card = super(ReaderCard, cls).load(path)
        if "jurisdiction" in card.outputs and not card.text.jurisdictions:
            raise CardError(path, "text.jurisdictions", "the net names jurisdictions, the card has no codes")
        return card

    @property
    def shapes(self) -> dict[str, tuple[int | None, ...]]:
        """The shape of each output, batch axis included; None: any length."""
        texts = (1, None, CLASSES)
        return {
            "columns": texts,
            "slots": texts,
            "jurisdiction": (1, len(self.text.jurisdictions)),
            "corners": (1, 8),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NamerCard(NetCard):
    """Card of the state namer. Of ``[patch]``, only the margins and the contrast are used."""

    KIND: ClassVar[str] = "state-namer"
    OUTPUTS: ClassVar[frozenset[str]] = frozenset({"jurisdiction"})

    patch: PatchRules
    naming: NamingRules

    @property
    def shapes(self) -> dict[str, tuple[int | None, ...]]:
        """The shape of the output, batch axis included."""
        return {"jurisdiction": (1, len(self.naming.jurisdictions))}


@dataclass(frozen=True, slots=True, kw_only=True)
class ObstacleCard(NetCard):
    """Card of the obstacle finder. Of ``[patch]``, only the margins and the contrast are used."""

    KIND: ClassVar[str] = "obstacle-finder"
    OUTPUTS: ClassVar[frozenset[str]] = frozenset({"hidden"})

    patch: PatchRules
    hiding: HidingRules

    @property
    def shapes(self) -> dict[str, tuple[int | None, ...]]:
        """The shape of the output, batch axis included; None: any length."""
        return {"hidden": (1, None)}


def checked_model(card: Path, model: ModelFile) -> bytes:
    """Reads the model file beside its card, once, if it has the hash that the card names.

    Raises MissingModelError, SwappedModelError.
    """
    path = card.parent / model.file
    try:
        if path.stat().st_size > MOST_MODEL_BYTES:
            raise CardError(card, "model.file", f"{model.file} is larger than {MOST_MODEL_BYTES} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise _missing(path, error) from error
    found = hashlib.sha256(content).hexdigest()
    if found != model.sha256:
        raise SwappedModelError(path, model.sha256, found)
    return content


def _missing(path: Path, error: OSError) -> MissingModelError:
    return MissingModelError(path, f"cannot be read ({error.strerror})", "install the model files")


def read_table(path: Path) -> dict[str, Any]:
    """Reads the sections of a TOML file beside the nets. Raises MissingModelError, CardError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _missing(path, error) from error
    if len(content) > MOST_CARD_BYTES:
        raise CardError(path, "", f"larger than {MOST_CARD_BYTES} bytes")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CardError(path, "", f"not TOML: {error}") from error


def _open(
    path: Path, kind: str, needed: frozenset[str], optional: frozenset[str], sections: set[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads a card as a table and parses its common part."""
    table = read_table(path)
    for name in table:
        if name not in sections | {"model", "input", "outputs"} | _FREE_SECTIONS:
            raise CardError(path, name, "unknown section")
    model = _section(path, table, "model", ModelFile)
    if model.kind != kind:
        raise CardError(path, "model.kind", f"is {model.kind!r}, expected {kind!r}")
    if len(model.sha256) != 64 or set(model.sha256) - set("0123456789abcdef"):
        raise CardError(path, "model.sha256", "is not 64 lower-case hex digits")
    if Path(model.file).name != model.file or not model.file:
        raise CardError(path, "model.file", "must be a file name beside the card, without a folder")
    common = {
        "model": model,
        "input": _section(path, table, "input", NetInput),
        "outputs": _outputs(path, table, needed, optional),
    }
    return table, common


def _outputs(
    path: Path, table: dict[str, Any], needed: frozenset[str], optional: frozenset[str]
) -> dict[str, str]:
    """``[outputs]``: the name of the tensor for each role."""
    outputs = table.get("outputs")
    if not isinstance(outputs, dict):
        raise CardError(path, "outputs", "section is missing")
    for role, name in outputs.items():
        if role not in needed | optional:
            raise CardError(path, f"outputs.{role}", "unknown output")
        if not isinstance(name, str) or not name:
            raise CardError(path, f"outputs.{role}", "must be the name of a tensor")
    for role in sorted(needed - set(outputs)):
        raise CardError(path, f"outputs.{role}", "is missing")
    return dict(outputs)


def _section(path: Path, table: dict[str, Any], name: str, kind: type[Rules]) -> Rules:
    """Parses a section into its frozen record; refuses unknown, missing, mistyped and out-of-range keys."""
    values = table.get(name, {})
    if not isinstance(values, dict):
        raise CardError(path, name, "must be a section")
    known: dict[str, Field[Any]] = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    for key in values:
        if key not in known:
            raise CardError(path, f"{name}.{key}", f"unknown; known are {', '.join(sorted(known))}")
    parsed: dict[str, Any] = {}
    for key, place in known.items():
        if key in values:
            parsed[key] = _value(path, f"{name}.{key}", values[key], hints[key], place)
        elif place.default is MISSING:
            raise CardError(path, f"{name}.{key}", "is missing")
    return kind(**parsed)


def _value(path: Path, key: str, value: Any, hint: Any, place: Field[Any]) -> Any:
    if hint == tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise CardError(path, key, "must be a list of strings")
        if len(set(value)) != len(value):
            raise CardError(path, key, "names one string twice")
        return tuple(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint:
        raise CardError(path, key, f"must be of type {hint.__name__}, is {type(value).__name__}")
    if "low" in place.metadata and not place.metadata["low"] <= value <= place.metadata["high"]:
        raise CardError(path, key, f"is {value}, allowed {place.metadata['low']} to {place.metadata['high']}")
    return value


def card_text(sections: dict[str, dict[str, Any]]) -> str:
    """Writes sections as TOML that ``load`` reads. Values: str, bool, int, float, lists of str."""
    lines: list[str] = []
    for name, values in sections.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_toml(value)}" for key, value in values.items()]
        lines.append("")
    return "\n".join(lines)


def _toml(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            return f'"{escaped}"'
        case list() | tuple():
            return "[" + ", ".join(_toml(item) for item in value) + "]"
        case _:
            raise TypeError(f"a card holds no {type(value).__name__}")
