"""Names that are written in many ways, folded so that the ways of writing one are equal.

Case, accents, punctuation, ``The``, ``&`` beside ``and``, and who else plays along: what differs between a Spotify
library and the tags of files, and says nothing about which recording it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

LETTERS = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "’": "'", "`": "'"}
)
"""Letters that Unicode does not take for a plain one with a mark."""

MARKS = re.compile(r"[\u0300-\u036f]")
"""Marks of Latin, Greek and Cyrillic letters; those of other scripts tell words apart and stay."""

DOLLAR, BANG = re.compile(r"(?<=\w)\$|\$(?=\w)"), re.compile(r"(?<=\w)!(?=\w)")
GLUE = re.compile(r"'|(?<=[^\W\d_])\.(?=[^\W\d_])")
"""What is left out of a word: don't, R.E.M."""

WORD = re.compile(r"[^\W_]+")
ALIKE = {"n": "and", "pt": "part", "pts": "part", "opus": "op", "number": "no", "nr": "no", "volume": "vol"}

NUMERALS = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii", "xiv", "xv", "xvi")
ROMAN = {name: str(number) for number, name in enumerate(NUMERALS, 1)}
COUNTED = frozenset(
    {"part", "no", "vol", "op", "book", "chapter", "act", "sonata", "suite", "set", "volume", "symphony"}
)
"""After these a single letter is a number: Part I."""

BETWEEN_ARTISTS = re.compile(
    r"\s*[,;/&+|]\s*|\s+(?:and|x|vs\.?|versus|feat\.?|ft\.?|featuring|with|und|et|y|e)\s+|\s*\(\s*(?:feat\.?|ft\.?|with)\s+",
    re.IGNORECASE,
)


@lru_cache(maxsize=1 << 16)
def folded(text: str) -> str:
    """Lower case, plain letters, no apostrophes: ``"Beyoncé's  P!nk & R.E.M."`` becomes ``"beyonces  pink & rem."``."""
    plain = MARKS.sub("", unicodedata.normalize("NFKD", text.casefold())).translate(LETTERS)
    plain = BANG.sub("i", DOLLAR.sub("s", plain))
    return unicodedata.normalize("NFC", GLUE.sub("", plain))


def words(text: str) -> list[str]:
    """The folded words of a text, numbers in digits, ``and`` for ``&``.

    >>> words("Rock & Roll, Pt. II")
    ['rock', 'and', 'roll', 'part', '2']
    """
    found = [ALIKE.get(word, word) for word in WORD.findall(folded(text).replace("&", " and ").replace("+", " and "))]
    return [numbered(word, found[place - 1] if place else "") for place, word in enumerate(found)]


def numbered(word: str, before: str) -> str:
    """A Roman number in digits; ``i``, ``v`` and ``x`` are one only after a word that is counted."""
    return ROMAN.get(word, word) if len(word) > 1 or before in COUNTED else word


@lru_cache(maxsize=1 << 16)
def artist_key(name: str) -> str:
    """What all ways of writing an artist's name have in common, without spaces.

    >>> artist_key("The Rolling Stones"), artist_key("Rolling Stones, The"), artist_key("Simon & Garfunkel")
    ('rollingstones', 'rollingstones', 'simongarfunkel')
    """
    found = words(name)
    kept = [word for word in found if word not in {"the", "and"}]
    return "".join(kept or found) or folded(name).strip()


@lru_cache(maxsize=1 << 16)
def artist_keys(name: str) -> tuple[str, ...]:
    """The key of the whole, then those of the artists that it lists, the main one first.

    >>> artist_keys("Queen feat. David Bowie")
    ('queenfeatdavidbowie', 'queen', 'davidbowie')
    """
    parts = [artist_key(part.strip(" ()[]")) for part in BETWEEN_ARTISTS.split(name)]
    return tuple(dict.fromkeys(key for key in (artist_key(name), *parts) if key))


def joined_key(names: Iterable[str]) -> str:
    """The key of several artists as one name, as tags often hold them."""
    return artist_key(" & ".join(names))
