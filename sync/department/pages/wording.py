"""Words for the codes of calls, roles and states, as pages show them. No I/O."""

from __future__ import annotations

WORDS = {
    "organisation": "organization",
    "case": "case number",
    "cad": "CAD incident number",
    "action": "administrative action number",
    "criminal-investigation": "criminal investigation",
    "civil-action": "civil action of the department",
    "administrative-action": "administrative action of the department",
    "wrong-character": "rejected: wrong character",
    "wrong-state": "rejected: wrong state",
    "not-this-vehicle": "rejected: not this vehicle",
    "cannot-tell": "cannot tell",
    "no-stop": "no stop",
    "handed-over": "handed over",
    "first-password": "this password was made by another person",
    "password-expired": "this password has expired",
    "policy-training": "training under an older policy",
    "same_plate": "same plate repeatedly",
    "break_glass": "emergency search",
}


def word_of(code: object) -> str:
    """A code in words: its own, or its parts with blanks between."""
    text = str(code)
    return WORDS.get(text, text.replace("_", " ").replace("-", " "))
