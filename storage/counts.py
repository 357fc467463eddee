"""A number with its noun, as in a sentence: 1 log, 2 logs. No I/O."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """`number` and `noun`, in the plural unless it is one: "1 entry", "1,000 entries"."""
    if number == 1:
        return f"1 {noun}"
    ends_in_y = noun.endswith("y") and noun[-2:-1] not in {"a", "e", "i", "o", "u"}
    return f"{number:,} {plural or (noun[:-1] + 'ies' if ends_in_y else noun + 's')}"
