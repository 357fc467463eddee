"""Records from plain values: each field has a type and a limit, and a refusal names the field."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import pytest

from storage import codec
from storage.errors import RecordError


class Color(enum.StrEnum):
    RED = "red"
    WHITE = "white"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lamp:
    watts: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Car:
    seats: int
    electric: bool
    plate: str
    key: bytes
    color: Color
    lamp: Lamp
    owner: str | None
    tows: Lamp | None
    wheels: tuple[int, ...]
    size: tuple[float, int]
    note: str = codec.later("none")


GOOD: dict[str, Any] = {
    "seats": 4, "electric": True, "plate": "7XKR219", "key": b"k", "color": "red", "lamp": {"watts": 5.0},
    "owner": None, "tows": None, "wheels": [1, 2], "size": [1.5, 2], "note": "x",
}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("owner", "o.lee"), ("tows", {"watts": 1.0}), ("wheels", []), ("wheels", [7]), ("color", "white"),
        ("plate", "A" * codec.MAX_TEXT), ("owner", "A" * codec.MAX_TEXT),
    ],
)  # fmt: skip
def test_a_record_comes_back_from_its_bytes_as_it_was(field: str, value: Any) -> None:
    made = codec.from_plain(Car, GOOD | {field: value})
    assert codec.from_bytes(Car, codec.to_bytes(made)) == made
    assert codec.to_plain(made)[field] == value


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("seats", "4", "Car.seats: is text, not a whole number"),
        ("seats", True, "Car.seats: is true or false, not a whole number"),
        ("electric", 1, "Car.electric: is a whole number, not true or false"),
        ("plate", b"7XKR219", "Car.plate: is bytes, not text"),
        ("plate", None, "Car.plate: is empty, not text"),
        ("plate", "A" * (codec.MAX_TEXT + 1), f"Car.plate: is longer than {codec.MAX_TEXT} characters"),
        ("owner", "A" * (codec.MAX_TEXT + 1), f"Car.owner: is longer than {codec.MAX_TEXT} characters"),
        ("owner", 7, "Car.owner: is a whole number, not text"),
        ("key", "k", "Car.key: is text, not bytes"),
        ("color", "blue", "Car.color: is not one of red, white"),
        ("lamp", [5.0], "Car.lamp: is not a map"),
        ("lamp", {"watts": 5}, r"Car.lamp.watts: is a whole number, not a decimal one"),
        ("lamp", {"watts": True}, r"Car.lamp.watts: is true or false, not a decimal number"),
        ("lamp", {}, r"Car.lamp: missing fields \[watts\], unknown fields \[\]"),
        ("lamp", {"watts": 5.0, "volts": 12.0}, r"Car.lamp: missing fields \[\], unknown fields \[volts\]"),
        ("tows", {"watts": 5}, r"Car.tows.watts: is a whole number"),
        ("wheels", (1, 2), "Car.wheels: is not a list"),
        ("wheels", [1, "2"], r"Car.wheels\[1\]: is text, not a whole number"),
        ("size", [1.5], "Car.size: has 1 items, not 2"),
        ("size", [1.5, 2, 3], "Car.size: has 3 items, not 2"),
        ("size", [1.5, 2.0], r"Car.size\[1\]: is a decimal number, not a whole number"),
        ("size", "ab", "Car.size: is not a list"),
    ],
)  # fmt: skip
def test_a_field_of_another_type_or_beyond_its_limit_is_refused_by_name(
    field: str, value: Any, error: str
) -> None:
    with pytest.raises(RecordError, match=error):
        codec.from_plain(Car, GOOD | {field: value})


def test_a_record_of_an_earlier_version_lacks_only_what_came_later() -> None:
    older = {name: value for name, value in GOOD.items() if name != "note"}
    assert codec.from_plain(Car, older).note == "none"
    with pytest.raises(RecordError, match=r"missing fields \[seats\], unknown fields \[\]"):
        codec.from_plain(Car, {name: value for name, value in older.items() if name != "seats"})
    with pytest.raises(RecordError, match=r"missing fields \[\], unknown fields \[sunroof\]"):
        codec.from_plain(Car, older | {"sunroof": True})


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (b"a = ", "f: is not TOML: "),
        (b"a = '\xff'", "f: is not TOML: byte 5 is not UTF-8"),
        (b"a = " + b"[" * 9999, "f: is not TOML: nested too deep"),
    ],
)
def test_what_is_not_toml_is_refused_with_the_reason(document: bytes, error: str) -> None:
    with pytest.raises(RecordError, match=error):
        codec.parse_toml(document, where="f")
    assert codec.parse_toml(b"a = 1", where="f") == {"a": 1}
