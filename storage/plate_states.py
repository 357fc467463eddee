"""States and countries of plates, in ISO 3166's form: US-CA, MX."""

from __future__ import annotations

import re

from storage.errors import RecordError

_US_CODES = """
AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK
OR PA RI SC SD TN TX UT VT VA WA WV WI WY
"""
_CANADIAN_CODES = "AB BC MB NB NL NS NT NU ON PE QC SK YT"
_COUNTRIES = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO
FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE
JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO
MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW
PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM
TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
"""
OLDER_CODES = {"NF": "NL", "PQ": "QC"}  # of provinces
US = frozenset(_US_CODES.split())
CANADA = frozenset(_CANADIAN_CODES.split())
COUNTRIES = frozenset(_COUNTRIES.split())
STATE = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")


def typed_state(text: str) -> str:
    """A typed state, such as CA or US-CA, in the form of entries; "" if empty. Raises RecordError."""
    state = text.strip().upper()
    if state in US:
        return f"US-{state}"
    if state and (not STATE.fullmatch(state) or (state.startswith("US-") and state[3:] not in US)):
        raise RecordError("a state is written as CA or US-CA", where="state")
    return state


def known_state(text: str) -> str:
    """Like `typed_state`, but only for existing states: others would match no read and confirm no plate.

    Raises RecordError.
    """
    state = typed_state(text)
    country, _, part = state.partition("-")
    province = OLDER_CODES.get(country, country)
    if not part and country in (CANADA - COUNTRIES) | OLDER_CODES.keys():
        raise RecordError(
            f"{country} is a province of Canada, not a country", where="state", cure=f"write CA-{province}"
        )
    if state and (country not in COUNTRIES or (country == "CA" and part not in {"", *CANADA})):
        cure = (
            "write GB" if state == "UK" else "write CA, US-CA, CA-ON or a country's two letters: MX, GB, FR"
        )
        raise RecordError(f"{state} is neither a state nor a country", where="state", cure=cure)
    return state
