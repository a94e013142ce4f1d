"""Which file is a track: by its code, else by artist, title and length; none where several could be.

Files are looked up by the key of their title, and only where none fits, by artist and likeness of the title. So a
track costs the same however many files there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from genre_lib.spotify import titles
from genre_lib.spotify.folder_index import MusicFile, isrc_of
from genre_lib.spotify.library import Track
from genre_lib.spotify.likeness import SAME_SECONDS, Wanted, close, likeness, tolerance
from genre_lib.spotify.readings import Reading, readings

LEAST = 0.7
"""What is less sure is no match."""
NEAR = 0.03
"""Files that come as near to the best as this are its rivals."""
COPY_SECONDS = 1.0
"""Two files of one name that differ by less in length are copies of a recording."""
OTHER_ALBUM = 0.9
ISRC_ALONE = 0.9
"""Sureness of a code where artist and title say something else: tags get copied by mistake."""


@dataclass(frozen=True)
class Match:
    """A file that is a track.

    Args:
        file: its number in the index.
        how: ``isrc``, ``artist_title``, ``artist_title_close`` (a slip of the pen) or ``file_name`` (no tags).
    """

    file: int
    sureness: float
    how: str


@dataclass(frozen=True)
class Candidate:
    """A file that may be the track, in the reading that fits best."""

    reading: Reading
    sureness: float


class Matcher:
    """Files, prepared to be found by track."""

    def __init__(self, files: Sequence[MusicFile]) -> None:
        self.files = files
        self.by_isrc: dict[str, list[int]] = defaultdict(list)
        self.by_title: dict[str, list[Reading]] = defaultdict(list)
        self.by_artist: dict[str, list[Reading]] = defaultdict(list)
        for number, file in enumerate(files):
            if file.readable:
                self._take(number, file)

    def _take(self, number: int, file: MusicFile) -> None:
        if file.isrc:
            self.by_isrc[file.isrc].append(number)
        for reading in readings(number, file):
            for key in title_keys(reading.parsed):
                self.by_title[key].append(reading)
            for artist in reading.artists:
                self.by_artist[artist].append(reading)

    def match(self, track: Track) -> Match | None:
        """The file that is the track, or None where there is none or it cannot be told which."""
        wanted = Wanted(track)
        by_code = self.by_code(wanted)
        if by_code:
            return by_code
        found = self.judged(wanted, self.of_title(wanted)) or self.judged(wanted, self.of_artist(wanted))
        return self.settled(wanted, found) if found else None

    def by_code(self, wanted: Wanted) -> Match | None:
        """The file whose tag holds the track's ISRC; of several, the one that fits best by its name."""
        numbers = self.by_isrc.get(isrc_of(wanted.track.isrc), []) if wanted.track.isrc else []
        fitting = [number for number in numbers if self.fits_length(wanted.track, number)]
        if not fitting:
            return None
        named = self.judged(wanted, [each for number in fitting for each in readings(number, self.files[number])])
        if named:
            return Match(self.preferred(wanted, named).reading.file, 1.0, "isrc")
        strict = [number for number in fitting if self.may_be_named_otherwise(wanted, number)]
        return Match(strict[0], ISRC_ALONE, "isrc") if strict and self.are_copies(strict) else None

    def fits_length(self, track: Track, number: int) -> bool:
        duration = self.files[number].duration
        return not (track.duration and duration) or abs(track.duration - duration) <= tolerance(track.duration)

    def may_be_named_otherwise(self, wanted: Wanted, number: int) -> bool:
        """Whether a file of another name, in another script perhaps, may be the track: equal in length and version."""
        file = self.files[number]
        kinds = titles.parse(file.title, file.album).kinds
        known = bool(file.duration and wanted.track.duration)
        return known and abs(file.duration - wanted.track.duration) <= SAME_SECONDS and kinds == wanted.title.kinds

    def of_title(self, wanted: Wanted) -> list[Reading]:
        return [reading for key in title_keys(wanted.title) for reading in self.by_title.get(key, ())]

    def of_artist(self, wanted: Wanted) -> list[Reading]:
        """What the artist plays under nearly that title."""
        theirs = [reading for key in wanted.whole | wanted.everybody for reading in self.by_artist.get(key, ())]
        return [reading for reading in theirs if close(wanted.title.words, reading.parsed.words)]

    def judged(self, wanted: Wanted, found: Iterable[Reading]) -> list[Candidate]:
        """The files that are sure enough, each once."""
        best: dict[int, Candidate] = {}
        for reading in found:
            sureness = likeness(wanted, reading, self.files[reading.file].duration)
            if sureness >= LEAST and (reading.file not in best or sureness > best[reading.file].sureness):
                best[reading.file] = Candidate(reading, sureness)
        return list(best.values())

    def settled(self, wanted: Wanted, found: list[Candidate]) -> Match | None:
        """The best of the candidates; None where another one that is no copy of it comes as near."""
        top = max(each.sureness for each in found)
        rivals = [each for each in found if each.sureness >= top - NEAR]
        on_album = [each for each in rivals if self.same_album(wanted, each)]
        group = on_album or rivals
        names = {(each.reading.parsed.key, each.reading.parsed.detail) for each in group}
        if len(names) > 1 or not self.are_copies([each.reading.file for each in group]):
            return None
        chosen = self.preferred(wanted, group)
        elsewhere = len(rivals) > 1 and not on_album
        return Match(chosen.reading.file, chosen.sureness * (OTHER_ALBUM if elsewhere else 1.0), how(wanted, chosen))

    def preferred(self, wanted: Wanted, found: list[Candidate]) -> Candidate:
        """On the same album first, then the surest, then the nearest in length; the path decides between equals."""

        def order(each: Candidate) -> tuple[bool, float, float, str]:
            file = self.files[each.reading.file]
            apart = abs(file.duration - wanted.track.duration)
            return not self.same_album(wanted, each), -each.sureness, apart, file.path

        return min(found, key=order)

    def same_album(self, wanted: Wanted, candidate: Candidate) -> bool:
        own = titles.parse(self.files[candidate.reading.file].album).key
        return bool(own) and own == titles.parse(wanted.track.album).key

    def are_copies(self, numbers: Sequence[int]) -> bool:
        lengths = [self.files[number].duration for number in numbers]
        return max(lengths) - min(lengths) <= COPY_SECONDS


def title_keys(title: titles.Title) -> tuple[str, ...]:
    """As it is written, and with its words in any order."""
    return tuple(dict.fromkeys((title.key, " ".join(sorted(title.words)))))


def how(wanted: Wanted, candidate: Candidate) -> str:
    if candidate.reading.named:
        return "file_name"
    exact = set(title_keys(wanted.title)) & set(title_keys(candidate.reading.parsed))
    known = wanted.main in candidate.reading.artists or wanted.whole & set(candidate.reading.artists)
    return (
        "artist_title"
        if exact and (known or wanted.everybody & set(candidate.reading.artists))
        else ("artist_title_close")
    )
