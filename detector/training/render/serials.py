"""Plate texts: serial patterns, vanity words and patternless texts, balanced over length and characters.

Pattern letters: ``A`` any letter, ``L`` any but I, O and Q, ``9`` a digit, ``1`` a digit
from 1 to 9; ``space``, ``-`` and ``.`` are printed but not part of the text, ``*`` is the design's
symbol, ``|`` a narrow gap. Braces enclose characters to print as they are: ``{EV}9999``.
"""

from __future__ import annotations

import numpy as np

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PLAIN_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
DIGITS = "0123456789"
MARKS = " -.*|"
# Characters that readers confuse; drawn more often, so that the net learns to keep each pair apart.
CONFUSED = "Q0OD2Z8B5S1I6GWMVYHNKXUJ47"

_PATTERNLESS = (
    (2, 0.03),
    (3, 0.06),
    (4, 0.12),
    (5, 0.22),
    (6, 0.22),
    (7, 0.22),
    (8, 0.13),
)
WORDS = tuple(
    """ACE AIR APPLE ARTIST AUNTIE BABY BADGER BAKER BASS BEACH BEAR BEEP BEST BIGDOG BIKE BIRD BLUE BOAT
    BOSS BRONCO BUBBLES BUCKS BUNNY BUZZ CAMPER CARGO CAT CHEF CLASSY COACH COFFEE COOL COWBOY CRAZY CRUISER
    DADDY DANCE DIVER DOC DODGE DOGS DRAGON DREAM DRIVE DUCK EAGLE EASY ELK ENJOY FAITH FAMILY FAST FIRE FISH
    FLOWERS FLY FOXY FREEDOM FUN GAMER GATOR GIFT GLORY GOFAST GOGO GOLF GOOD GRACE GRAMMY GRANDMA GREEN
    GYM HAPPY HAWK HERO HIKE HONEY HOPE HORSE HUNTER ICE IMAGINE INDY ISLAND JAZZ JEEP JOY JUMPER KARMA KICK
    KING KIWI LADY LAKE LIBERTY LION LIVE LOVE LUCKY MAGIC MAMA MARINE MAVRICK MIXED MOM MOTOR MOUSE MUSIC
    MUSTANG NAVY NICE NINJA NURSE OCEAN OHYEAH OUTLAW PAPA PARTY PEACE PHOTO PILOT PIZZA PLAY PROUD QUEEN
    QUICK QUIET QUILT RACER RAIN READY REBEL RED RIDER ROCKET ROLLIN ROSE RUNNER SAILOR SALSA SANDY SKIER
    SMILE SNOW SOCCER SONG SPEEDY SPIRIT STAR SUNNY SURF SWEET TEACHER TEXAN THANKS TIGER TOPGUN TRAVEL
    TRUCKER TURBO UNCLE VACAY VEGAN VETTE VIPER WALKER WAVES WHEELS WILD WINNER WIZARD WOLF WOW XRAY YACHT
    YELLOW YOGA YOUNG ZEBRA ZEN ZIPPY ZOOM""".split()  # noqa: SIM905
)
_DIGIT_FOR = {"O": "0", "I": "1", "E": "3", "A": "4", "S": "5", "B": "8", "Z": "2", "G": "6", "T": "7"}


def _pick(rng: np.random.Generator, alphabet: str) -> str:
    return alphabet[int(rng.integers(len(alphabet)))]


def fill(rng: np.random.Generator, pattern: str) -> str:
    """A printed line of this pattern: characters and the marks between them."""
    classes = {"A": LETTERS, "L": PLAIN_LETTERS, "9": DIGITS, "1": DIGITS[1:]}
    line, literal = "", False
    for sign in pattern:
        if sign in "{}":
            literal = sign == "{"
        elif literal or sign in MARKS:
            line += sign
        else:
            alphabet = classes[sign]
            hard = [letter for letter in CONFUSED if letter in alphabet]
            line += _pick(rng, "".join(hard)) if rng.random() < 0.25 else _pick(rng, alphabet)
    return line


def patternless(rng: np.random.Generator) -> str:
    """A line of 2 to 8 characters without a pattern, now and then with a gap."""
    lengths, weights = zip(*_PATTERNLESS, strict=True)
    length = int(rng.choice(lengths, p=np.array(weights) / sum(weights)))
    digits = rng.beta(0.8, 0.8)
    line = ""
    for _ in range(length):
        alphabet = DIGITS if rng.random() < digits else LETTERS
        if rng.random() < 0.3:
            alphabet = "".join(letter for letter in CONFUSED if letter in alphabet)
        line += _pick(rng, alphabet)
    if length > 3 and rng.random() < 0.65:
        cut = int(rng.integers(1, length))
        line = line[:cut] + _pick(rng, "  -.**|") + line[cut:]
    return thin_ended(rng, line) if rng.random() < 0.12 else line


def vanity(rng: np.random.Generator) -> str:
    """One or two words of at most 7 characters, now and then with digits for letters."""
    word = WORDS[int(rng.integers(len(WORDS)))]
    style = rng.random()
    if style < 0.25:
        word = "".join(_DIGIT_FOR.get(c, c) if rng.random() < 0.5 else c for c in word)
    elif style < 0.45:
        word += str(int(rng.integers(1, 100)))
    elif style < 0.55:
        word = word.translate(str.maketrans("", "", "AEIOU")) or word
    elif style < 0.7:
        lead = ("I", "MY", "IM", "GO", "THE", "2", "4", "MR", "BE", "NO")
        word = lead[int(rng.integers(len(lead)))] + " " + word
    if sum(sign not in MARKS for sign in word) > 7:
        word = word.replace(" ", "")[:7]
    if " " not in word and len(word) > 3 and rng.random() < 0.15:
        cut = int(rng.integers(1, len(word)))
        word = word[:cut] + _pick(rng, "  -") + word[cut:]
    return word


def thin_ended(rng: np.random.Generator, line: str) -> str:
    """The line with its last character, or two neighbors, replaced by the thinnest ones: I and 1."""
    places = [index for index, sign in enumerate(line) if sign not in MARKS]
    if len(places) < 3:
        return line
    chosen = [places[-1]]
    if rng.random() < 0.5:
        at = int(rng.integers(len(places) - 1))
        chosen = places[at : at + 2]
    signs = list(line)
    for index in chosen:
        signs[index] = "I" if rng.random() < 0.35 else "1"
    return "".join(signs)


def bare(line: str) -> str:
    """The text that a reader must report: the line without its marks."""
    return "".join(sign for sign in line if sign not in MARKS)
