"""States and countries of plates, as ISO 3166 writes them: US-CA, MX."""

from __future__ import annotations

import re

from storage.errors import RecordError

_US_CODES = """
AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK
OR PA RI SC SD TN TX UT VT VA WA WV WI WY
"""
US = frozenset(_US_CODES.split())
STATE = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")


def typed_state(text: str) -> str:
    """What a person typed, e.g. CA or US-CA, as entries write it; "" if empty. Raises RecordError."""
    state = text.strip().upper()
    if state in US:
        return f"US-{state}"
    if state and (not STATE.fullmatch(state) or (state.startswith("US-") and state[3:] not in US)):
        raise RecordError("a state is written as CA or US-CA", where="state")
    return state
