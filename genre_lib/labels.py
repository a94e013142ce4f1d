"""Genre names: the starter's vocabulary, and one spelling for the many that tags and folders use."""

from __future__ import annotations

import re
import unicodedata

GENRES: tuple[str, ...] = (
    "blues",
    "classical",
    "country",
    "disco",
    "electronic",
    "hiphop",
    "jazz",
    "metal",
    "pop",
    "reggae",
    "rock",
)
"""The eleven genres of the starter model: GTZAN's ten and electronic."""

ALIASES: dict[str, str] = {
    "alternative": "rock",
    "alternative rock": "rock",
    "ambient": "electronic",
    "baroque": "classical",
    "classic rock": "rock",
    "dance": "electronic",
    "drum & bass": "electronic",
    "edm": "electronic",
    "electronica": "electronic",
    "electronica/dance": "electronic",
    "hard rock": "rock",
    "heavy metal": "metal",
    "hip hop": "hiphop",
    "hip hop/rap": "hiphop",
    "house": "electronic",
    "indie rock": "rock",
    "rap": "hiphop",
    "rap/hip hop": "hiphop",
    "rhythm and blues": "rnb",
    "r&b": "rnb",
    "rock & roll": "rock",
    "techno": "electronic",
    "trance": "electronic",
}
"""Spellings and close relatives, after :func:`clean`, and the genre they are read as."""


def clean(name: str) -> str:
    """Fold case, accents' composition, dashes and runs of spaces: ``" Hip-Hop "`` becomes ``"hip hop"``."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    spaced = re.sub(r"[\s_\-–]+", " ", folded).strip()
    return re.sub(r"\s*/\s*", "/", spaced)


def canonical(name: str) -> str:
    """One spelling for a genre: an alias's target, or the cleaned name itself where none is known.

    >>> canonical("Hip-Hop"), canonical("Alternative Rock"), canonical("Bossa Nova")
    ('hiphop', 'rock', 'bossa nova')
    """
    cleaned = clean(name)
    return ALIASES.get(cleaned, cleaned)
