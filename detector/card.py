"""A model's card: the TOML file beside a .tflite that names its hash, its tensors and its numbers.

Sections ``[model]``, ``[input]``, ``[outputs]`` are the same for all nets; then ``[find]`` for the
detector, ``[patch]``, ``[text]``, ``[confidence]`` and ``[plate]`` for the reader, ``[patch]`` and
``[naming]`` for the state namer, ``[patch]`` and ``[hiding]`` for the obstacle finder. ``[provenance]`` and
``[figures]`` are for people: any content, not read. Everything else that is unknown is refused, so that a
misspelt threshold cannot silently fall back to a default.
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
MOST_MODEL_BYTES = 64 * 1024 * 1024  # a Pi reads it into memory whole; ours are under 4 MiB
_FREE_SECTIONS = {"provenance", "figures"}

Rules = TypeVar("Rules")


def ranged(low: float, high: float, default: Any = MISSING) -> Any:
    """A card field with its allowed range."""
    extra: dict[str, Any] = {} if default is MISSING else {"default": default}
    return field(metadata={"low": low, "high": high}, **extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """``[model]``: which file. ``file`` is beside the card."""

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
    """``[find]``: how maps become boxes. ``threshold``: least score of a box on its own, 0..1.

    ``doubtful_from``: least score of a box that the reader's net is asked about; without it, ``threshold``.
    """

    stride: int = ranged(1, 64, 4)
    threshold: float = ranged(0.01, 0.99, 0.3)
    doubtful_from: float = ranged(0.01, 1.0, 1.0)
    nms_overlap: float = ranged(0.05, 0.95, 0.35)  # IoU from which two boxes are one plate
    most: int = ranged(1, 64, 12)  # plates read in one frame at most: bounds the time of a frame
    padding: int = ranged(0, 255, 114)  # luma right of and below the letterboxed picture


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchRules:
    """``[patch]``: how a patch is cut out and its contrast set.

    Margins are shares of the plate's size added in all, half of it on either side. ``second_look``:
    a first look less sure than ``second_look_below`` is followed by a second cut with other margins,
    and both count; with ``trust_corners`` that cut (and the reported box) follows the corners
    that the net itself saw in the first patch, else it follows the detector's. In a still picture a
    last look less sure than ``more_looks_below`` is followed by more cuts (``still_cuts.CUTS``).
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
    temperature: float = ranged(0.1, 10, 1.0)  # the columns' logits are divided by it
    smoothing: float = ranged(1e-6, 0.2, 1e-3)  # share of "could be anything" in each column
    slots_weight: float = ranged(0, 4, 0.3)  # of the second head's log-probability in a text's score
    prior_weight: float = ranged(0, 2, 0.25)  # of the formats' log-probability
    unreadable_below: float = ranged(0, 1, 0.4)  # a slot whose best character is less likely is '?'
    beam: int = ranged(1, 64, 8)
    pass_exponent: float = ranged(0, 1, 0.6)  # n frames of one pass count as n ** this: they err alike


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceRules:
    """``[confidence]``: a logistic model over the features of ``confidence.py``, fitted on held-out plates.

    ``bias`` and one weight a feature; ``report_from``: the confidence from which a text is reported
    as sure (by default the one that gave 95 % right texts on the calibration plates). ``usual_score``: the
    detector's score of a plate, 0..1, by the mean of its log-odds; used for a plate whose corners were known,
    for which no detector looked.
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

    Fitted on plates and on false boxes that no net trained on. A box less probable than ``least`` is
    not reported; 0 reports every box.
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
    """``[naming]``: how the namer's answer joins the reader's own, ``jurisdictions`` as on the reader's card.

    A jurisdiction's log-probability is the reader's times ``reader_weight`` plus the namer's times
    ``namer_weight``. Of plates narrower than ``least_width_px`` in the frame it is not asked.
    """

    jurisdictions: tuple[str, ...]
    reader_weight: float = ranged(0, 4, 1.0)
    namer_weight: float = ranged(0, 4, 1.0)
    least_width_px: float = ranged(0, 1000, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class HidingRules:
    """``[hiding]``: a text is trusted in full if no column's log-odds of a hidden character reach this."""

    clear_below: float = ranged(-30, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetCard(ABC):
    """What every net's card has. Each other field of a card is a section of its own."""

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
    """Card of the state namer. Of its ``[patch]`` the margins and the contrast count."""

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
    """Card of the obstacle finder. Of its ``[patch]`` the margins and the contrast count."""

    KIND: ClassVar[str] = "obstacle-finder"
    OUTPUTS: ClassVar[frozenset[str]] = frozenset({"hidden"})

    patch: PatchRules
    hiding: HidingRules

    @property
    def shapes(self) -> dict[str, tuple[int | None, ...]]:
        """The shape of the output, batch axis included; None: any length."""
        return {"hidden": (1, None)}


def checked_model(card: Path, model: ModelFile) -> bytes:
    """The model file beside its card, read once, only if it is the one that the card names.

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
    """The sections of a TOML file beside the nets. Raises MissingModelError, CardError."""
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
    """The card as a table, and its common part parsed."""
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
    """``[outputs]``: the tensor's name for each role."""
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
    """One section as its frozen record; unknown, missing, wrongly typed and out-of-range keys are refused."""
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
    """The sections as TOML, what ``load`` reads. Values: str, bool, int, float, lists of str."""
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
