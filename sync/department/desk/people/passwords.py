"""Checks new passwords: long, and not among those guessed first (NIST SP 800-63B, 5.1.1.2). No I/O.

This refuses common passwords, also with digits, signs and the usual replacements of letters; the user's name
and words of the department's name; and runs of repeated or sequential characters. It asks for no mix of kinds
of characters, and its reason never shows the password.
"""

from __future__ import annotations

import re

from sync.department.policy.policy import Policy
from sync.department.policy.refusals import FormError

MAX_PASSWORD = 256  # characters, since hashing more takes long
RUN = 4  # the length of a run that is refused
LEAST_OWN = 4  # the fewest letters besides common words
CURE = "a sentence of your own is good: several words that do not belong together"
LISTED = """
abcabc access account admin administrator alexander alpr amanda america andrea andrew angel anthony april
arsenal ashley august austin autumn babygirl badge badger bailey banana baseball basketball batman
beautiful blessed blink buster butterfly california camera charlie cheese chelsea chicken chocolate
computer cookie corvette court cowboys crystal daniel december default demo department desk detective
diamond dispatch dispatcher dolphin donald dragon eagle eagles elizabeth enter everything family february
ferrari flower football forever freedom friday friend friends gemini george ginger god guest hannah happy
harley heaven hello hockey honey house hunter iloveyou internet january jasmine jennifer jessica jesus
jordan joseph joshua july june justin killer lakers letmein license liverpool login lovely loveme lover
maggie march maria marina master matrix matthew maxwell merlin michael michelle mickey midnight monday
monkey mother mustang naruto nicole ninja november october officer orange pass passcode passphrase passw
password passwort patrick patrol peanut pepper phoenix plate please pokemon police princess purple qazwsx
qwer qwert qwerty qwertyuiop ranger robert root samantha samsung sarah saturday scooter secret secure
security september sergeant service shadow sheriff silver simple snoopy soccer sparky spiderman spring
starwars station steelers steven summer sunday sunshine superman superuser support taylor temp test tester
testing thomas thunder thursday tigger trustno tuesday user vehicle vendor victoria wednesday welcome
whatever william winter yankees yellow zaq zxcv zxcvb zxcvbn zxcvbnm
"""
COMMON = frozenset(LISTED.split())
"""Words that lists of leaked passwords begin with, and those of this work."""
_LONGEST_FIRST = sorted(COMMON, key=lambda word: (-len(word), word))
_ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_LINES = tuple(line for row in _ROWS for line in (row, row[::-1]))
_REPLACED = str.maketrans("@431!05$7", "aaeiiosst")
_REPEATED = re.compile(r"(.)\1{3,}|(.{2,})\2{2,}", re.DOTALL)


def check_password(policy: Policy, user: str, password: str) -> None:
    """Refuse a new password that is too short or guessed first. Raises FormError with the reason."""
    least = policy.security.password_min
    if not least <= len(password) <= MAX_PASSWORD:
        raise _refused(f"a password has {least} to {MAX_PASSWORD} characters")
    reason = weakness_of(password, user, policy.department)
    if reason:
        raise _refused(f"the new password {reason}", CURE)


def _refused(what: str, cure: str = "") -> FormError:
    return FormError(what, code="password", clause="CJIS IA-5", cure=cure, fields=("password", "new"))


def weakness_of(password: str, user: str, department: str) -> str:
    """Why a password is guessed first, as the end of a sentence; empty if it is not."""
    plain = password.casefold()
    if user and user.casefold() in plain:
        return "contains the user's name"
    for word in re.findall(r"\w{4,}", department.casefold()):
        if word in plain:
            return "contains a word of the department's name"
    if _REPEATED.search(plain) or len(set(plain)) < 5:
        return "repeats the same characters"
    if any(line[at : at + RUN] in plain for line in _LINES for at in range(len(line) - RUN + 1)):
        return f"contains {RUN} characters in the order of the alphabet, the digits or the keyboard"
    if _is_common(plain) or _is_common(plain.translate(_REPLACED)):
        return "is a common password, or one with digits and symbols added"
    return ""


def _is_common(text: str) -> bool:
    """Whether a text consists of common words and hardly any other letters."""
    rest = text
    for word in _LONGEST_FIRST:
        rest = rest.replace(word, " ")
    return rest != text and sum(one.isalpha() for one in rest) < LEAST_OWN
