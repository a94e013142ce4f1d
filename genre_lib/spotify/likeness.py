"""How surely two names of a recording mean the same one: titles, artists, versions and lengths compared.

Factors from 0 (another recording) to 1, by rule and not by learning. Each is strict, for a wrong match teaches a wrong
genre, while a missing one only leaves a track out. ``benchmarks/match_folder.py`` measures them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from genre_lib.spotify import titles
from genre_lib.spotify.library import Track
from genre_lib.spotify.names import artist_key, artist_keys, joined_key
from genre_lib.spotify.readings import Reading
from genre_lib.spotify.titles import Title

TOLERANCE = 5.0
"""Seconds by which two releases of a recording may differ: silence at the end, another fade; or the share below."""
TOLERANCE_SHARE = 0.01
SAME_SECONDS = 2.0

BEST = 0.97
"""What artist, title and length together can make sure; a code says more."""
UNKNOWN_LENGTH = 0.88
NAMED_BY_FILE = 0.95
LISTED_ARTIST, GUEST_ARTIST = 0.99, 0.93
CLOSE = 0.88
LESS_SAID = 0.93
"""One says "live" where the other says "live at Leeds"."""

LEAST_TYPO = 5
"""Letters that a word has at least in which one may be wrong: love and live are two words."""
LONG_WORD = 9
SIMILAR_DETAIL = 85.0


@dataclass(frozen=True)
class Wanted:
    """A track of Spotify's, taken apart once."""

    track: Track

    @cached_property
    def title(self) -> Title:
        return titles.parse(self.track.title, self.track.album)

    @cached_property
    def main(self) -> str:
        return artist_key(self.track.artist)

    @cached_property
    def whole(self) -> frozenset[str]:
        """Keys of the main artist, and of all as one name."""
        return frozenset({self.main, joined_key(self.track.artists)}) - {""}

    @cached_property
    def everybody(self) -> frozenset[str]:
        """Keys of all artists, and of those whom the title names."""
        names = [*self.track.artists, *self.title.guests]
        return frozenset(key for name in names for key in (artist_key(name), *artist_keys(name)[1:]) if key)


def likeness(wanted: Wanted, reading: Reading, duration: float) -> float:
    """How surely a reading of a recording that lasts so many seconds (0: unknown) is the wanted track."""
    title = title_likeness(wanted.title, reading.parsed)
    version = version_likeness(wanted.title, reading.parsed)
    artist = artist_likeness(wanted, reading) if title and version else 0.0
    length = length_likeness(wanted.track.duration, duration)
    if min(title, artist) <= CLOSE and max(title, artist) <= GUEST_ARTIST:
        return 0.0  # two doubts at once
    if min(title, artist, version) <= GUEST_ARTIST and length <= UNKNOWN_LENGTH:
        return 0.0  # a doubt, and no length to settle it
    return BEST * title * version * artist * length * (NAMED_BY_FILE if reading.named else 1.0)


def title_likeness(one: Title, other: Title) -> float:
    if one.origin and other.origin and not one.origin & other.origin:
        return 0.0
    if one.key == other.key or (len(one.words) > 1 and sorted(one.words) == sorted(other.words)):
        return 1.0
    return CLOSE if close(one.words, other.words) else 0.0


def close(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two rows of words differ by slips of the pen alone: in one of four words, in a long one or by a letter.

    Numbers and short words must be equal; major and minor are two letters apart, and so two words.
    """
    if len(one) != len(other) or not one:
        return False
    different = [(left, right) for left, right in zip(one, other, strict=True) if left != right]
    return len(different) <= max(1, len(one) // 4) and all(slip(left, right) for left, right in different)


def slip(one: str, other: str) -> bool:
    """Whether two words are one with letters wrong, missing, too many or exchanged (optimal string alignment)."""
    shorter = min(len(one), len(other))
    if shorter < LEAST_TYPO or one[0] != other[0] or not (one + other).isalpha():
        return False
    allowed = 2 if shorter >= LONG_WORD else 1
    return OSA.distance(one, other, score_cutoff=allowed) <= allowed


def version_likeness(one: Title, other: Title) -> float:
    """1 where both are the recording in the studio, or both say the same of another; 0 where they differ."""
    if one.kinds != other.kinds:
        return 0.0
    if one.detail == other.detail:
        return 1.0
    if not one.detail or not other.detail:
        return LESS_SAID
    if "remix" not in one.kinds and (one.detail <= other.detail or other.detail <= one.detail):
        return LESS_SAID  # but a remix of a remix names both who made it
    ratio = fuzz.ratio(" ".join(sorted(one.detail)), " ".join(sorted(other.detail)))
    return LESS_SAID if ratio >= SIMILAR_DETAIL else 0.0


def artist_likeness(wanted: Wanted, reading: Reading) -> float:
    own = artist_keys(reading.artist)
    if not own or not wanted.main:
        return 0.0
    if own[0] in wanted.whole:
        return 1.0
    if wanted.main in own[1:2]:
        return LISTED_ARTIST
    if wanted.main in reading.artists or own[0] in wanted.everybody:
        return GUEST_ARTIST
    return CLOSE if slip(own[0], wanted.main) else 0.0


def length_likeness(one: float, other: float) -> float:
    """Of two lengths in seconds, 0 for unknown."""
    if not one or not other:
        return UNKNOWN_LENGTH
    apart = abs(one - other)
    if apart <= SAME_SECONDS:
        return 1.0
    return 0.97 if apart <= tolerance(one) else 0.0


def tolerance(duration: float) -> float:
    """Seconds that two releases of a recording of that length may differ by."""
    return max(TOLERANCE, TOLERANCE_SHARE * duration)
