"""How well a folder of music is found again from what Spotify says of its tracks: precision, recall, time.

python benchmarks/match_folder.py ../shared/data/emotify

Spotify's side is made from the folder's own tags, by chance with a seed: each track is written as Spotify may write it
(remastered, featured artists, accents, case, punctuation, The, slips of the pen, brackets left out, words joined,
another album, a length that differs), and among them are tracks that the folder has not: the same artist's others,
another artist's of that title, live ones, remixes, pieces of another number or key, and titles with one word that
looks alike. In Emotify all files last 60 s, and half of the tracks that are not there are given that very length: so
lengths help less than in any real folder.

A match is right where the file is the one that the track was made from, or holds the same recording by its fingerprint.
"""

from __future__ import annotations

import argparse
import re
import resource
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from genre_lib.data.fingerprint import duplicates
from genre_lib.spotify.folder_index import MusicFile
from genre_lib.spotify.library import Track
from genre_lib.spotify.matching import Match, Matcher
from genre_lib.spotify.music_folder import MusicFolder
from genre_lib.spotify.names import artist_key, artist_keys
from genre_lib.spotify.titles import parse

Random = np.random.Generator
ACCENTS = str.maketrans("aeiouncAEIOU", "áéíöüñçÁÉÍÖÜ")
GUESTS = ("Maya Okonjo", "The Lanterns", "DJ Ferro", "Ana & Luis")
RELEASES = (" - Remastered 2009", " - 2011 Remaster", " (Remastered)", " - Remastered", " (Deluxe Edition)",
            " - Album Version", " [2015 Digital Remaster]", " - Mono Version", " - Bonus Track")  # fmt: skip
OTHERS = (" - Live", " (Live at the Forum)", " - Remix", " (Nightfall Remix)", " - Acoustic", " (Acoustic Version)",
          " - Instrumental", " (Karaoke Version)", " - Demo", " - Radio Edit", " - Sped Up", " (Re-Recorded)",
          " - Live in Berlin / Remastered 2009")  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A track of Spotify's side, how it was made, and the number of its file; None where the folder has none."""

    track: Track
    made: str
    file: int | None


# --- how Spotify may write a track -----------------------------------------------------------------------------------


def cased(track: Track, random: Random) -> Track:
    change = (str.upper, str.lower, str.title)[random.integers(3)]
    return replace(track, title=change(track.title), artists=tuple(change(name) for name in track.artists))


def accented(track: Track, random: Random) -> Track:
    letters = [letter.translate(ACCENTS) if random.random() < 0.3 else letter for letter in track.title]
    return replace(track, title="".join(letters), artists=(track.artist.translate(ACCENTS), *track.artists[1:]))


def punctuated(track: Track, random: Random) -> Track:
    return replace(track, title=track.title.replace("'", "’").replace("-", "–").replace(":", "").rstrip("?") + "!")


def remastered(track: Track, random: Random) -> Track:
    return replace(track, title=track.title + RELEASES[random.integers(len(RELEASES))])


def featured(track: Track, random: Random) -> Track:
    guest = GUESTS[random.integers(len(GUESTS))]
    form = (" (feat. {})", " (with {})", " [ft. {}]", " feat. {}", "")[random.integers(5)]
    return replace(track, title=track.title + form.format(guest), artists=(*track.artists, guest))


def articled(track: Track, random: Random) -> Track:
    name = track.artist.removeprefix("The ")
    return replace(track, artists=(name if name != track.artist else f"The {name}", *track.artists[1:]))


def joined(track: Track, random: Random) -> Track:
    def change(text: str) -> str:
        return text.replace(" and ", " & ") if " and " in text else text.replace(" & ", " and ")

    return replace(track, title=change(track.title), artists=tuple(map(change, track.artists)))


def mistyped(track: Track, random: Random) -> Track:
    """One letter of a longer word exchanged with the next, as a hurried hand does."""
    places = [at for at in range(2, len(track.title) - 2) if track.title[at - 2 : at + 3].isalpha()]
    if not places:
        return track
    at = int(random.choice(places))
    title = track.title[:at] + track.title[at + 1] + track.title[at] + track.title[at + 2 :]
    return replace(track, title=title)


def elsewhere(track: Track, random: Random) -> Track:
    return replace(track, album=("Greatest Hits", f"The Best of {track.artist}", "")[random.integers(3)])


def shortened(track: Track, random: Random) -> Track:
    """Without what stands in brackets: often the composer, sometimes what tells it from the next."""
    return replace(track, title=re.sub(r"\s*\([^)]*\)", "", track.title) or track.title)


def respaced(track: Track, random: Random) -> Track:
    """Two words written as one, in the title and in the artist's name."""
    return replace(track, title=track.title.replace(" ", "", 1), artists=(track.artist.replace(" ", "", 1),))


NOISE: dict[Callable[[Track, Random], Track], float] = {
    shortened: 0.05, respaced: 0.05, accented: 0.2, articled: 0.15, joined: 1.0, mistyped: 0.04, featured: 0.2,
    remastered: 0.35, cased: 0.3, punctuated: 0.3, elsewhere: 0.15,
}  # fmt: skip
"""The share of tracks that each befalls, in this order; several may befall one."""


def noisy(track: Track, random: Random, there: bool = True) -> tuple[Track, str]:
    """The track as Spotify may write it, and how; of one that is not there no brackets are cut, for they may say so."""
    chosen = [change for change, share in NOISE.items() if random.random() < share and (there or change != shortened)]
    for change in chosen:
        track = change(track, random)
    length = track.duration + float(np.clip(random.normal(0, 1), -3, 3))
    return replace(track, duration=max(1.0, length)), "+".join(change.__name__ for change in chosen)


# --- tracks that the folder has not -----------------------------------------------------------------------------------


def absent(tracks: Sequence[Track], random: Random) -> list[tuple[Track, str]]:
    """For each track one that is not there, of a kind by turns; none that is there by chance."""
    there = {(artist_key(track.artist), parse(track.title).key) for track in tracks}
    made = [strange(number, tracks, random) for number in range(len(tracks))]
    return [
        (track, kind)
        for track, kind in made
        if kind == "version" or not {(key, parse(track.title).key) for key in artist_keys(track.artist)} & there
    ]


def strange(number: int, tracks: Sequence[Track], random: Random) -> tuple[Track, str]:
    track, other = tracks[number], tracks[int(random.integers(len(tracks)))]
    length = track.duration if random.random() < 0.5 else float(random.uniform(120, 400))
    track = replace(track, duration=length, isrc=f"QZXYZ{number:07d}" if track.isrc else "")
    kind = ("version", "other title", "other artist", "version", "next piece", "other word")[number % 6]
    if kind == "version":
        return replace(track, title=track.title + OTHERS[random.integers(len(OTHERS))]), kind
    if kind == "other title":
        return replace(track, title=other.title, album=other.album), kind
    if kind == "other artist":
        return replace(track, artists=other.artists), kind
    return replace(track, title=(next_piece if kind == "next piece" else other_word)(track.title)), kind


def next_piece(title: str) -> str:
    """The next number, another key, a second part: what classical works and sequels are told apart by."""
    digits = [at for at, letter in enumerate(title) if letter.isdigit()]
    if digits:
        at = digits[-1]
        return title[:at] + str((int(title[at]) + 1) % 10) + title[at + 1 :]
    if "major" in title.lower():
        return title.lower().replace("major", "minor")
    return f"{title} Part II"


def other_word(title: str) -> str:
    """The longest word becomes one that looks like it: its second half is turned round."""
    word = max(title.split(), key=len)
    half = len(word) // 2
    return title.replace(word, word[:half] + word[half:][::-1] + "e", 1)


def cases(files: Sequence[MusicFile], seed: int) -> list[Case]:
    random = np.random.default_rng(seed)
    tracks = [Track(f"{number:022d}", file.title, (file.artist,), album=file.album, duration=file.duration,
                    isrc=file.isrc) for number, file in enumerate(files)]  # fmt: skip
    found = [Case(*noisy(track, random), number) for number, track in enumerate(tracks)]
    lacking = [Case(noisy(track, random, there=False)[0], kind, None) for track, kind in absent(tracks, random)]
    return found + lacking


# --- figures ---------------------------------------------------------------------------------------------------------


def same_recordings(root: Path, files: Sequence[MusicFile]) -> dict[int, set[int]]:
    """For each file those that hold its recording, itself among them: by fingerprint, among those of one name."""
    named = defaultdict(list)
    for number, file in enumerate(files):
        named[artist_key(file.artist), parse(file.title).key].append(number)
    same = {number: {number} for number in range(len(files))}
    for numbers in (each for each in named.values() if len(each) > 1):
        for group in duplicates([root / files[number].path for number in numbers]):
            for member in group:
                same[numbers[member]] |= {numbers[other] for other in group}
    return same


def measure(title: str, files: Sequence[MusicFile], given: Sequence[Case], same: dict[int, set[int]]) -> None:
    began = time.perf_counter()
    matcher = Matcher(files)
    prepared = time.perf_counter() - began
    found = [matcher.match(case.track) for case in given]
    seconds = time.perf_counter() - began
    right = [match is not None and case.file is not None and match.file in same[case.file]
             for case, match in zip(given, found, strict=True)]  # fmt: skip
    matched, present = sum(match is not None for match in found), sum(case.file is not None for case in given)
    print(f"{title}: {len(files)} files, {len(given)} tracks of which {present} are there")
    print(f"  precision {sum(right) / max(1, matched):.4f} ({matched - sum(right)} wrong of {matched})   "
          f"recall {sum(right) / present:.4f} ({present - sum(right)} missing of {present})   "
          f"{seconds:.2f} s, {prepared:.2f} s of it to prepare")  # fmt: skip
    print(f"  by: {dict(Counter(match.how for match in found if match))}")
    tell(files, given, found, right)


def tell(files: Sequence[MusicFile], given: Sequence[Case], found: Sequence[Match | None], right: list[bool]) -> None:
    """The wrong ones and the missing ones."""
    for case, match, good in zip(given, found, right, strict=True):
        asked = f"{', '.join(case.track.artists)} – {case.track.title} [{case.made}]"
        if match and not good:
            file = files[match.file]
            print(f"  wrong {match.sureness:.2f} {asked}\n        as {file.artist} – {file.title} ({file.path})")
        elif case.file is not None and not match:
            print(f"  missing {asked}\n        is {files[case.file].artist} – {files[case.file].title}")


def without_tags(files: Sequence[MusicFile]) -> list[MusicFile]:
    """The same files as ``Artist/Album/03 Title.mp3`` and ``Artist - Title.mp3`` by turns, without tags."""

    def named(number: int, file: MusicFile) -> str:
        artist, album, title = (text.replace("/", "_") for text in (file.artist, file.album, file.title))
        return f"{artist}/{album}/{number % 20 + 1:02d} {title}.mp3" if number % 2 else f"{artist} - {title}.mp3"

    return [replace(file, path=named(number, file), artist="", title="", album="")
            for number, file in enumerate(files)]  # fmt: skip


def coded(files: Sequence[MusicFile]) -> list[MusicFile]:
    """Every second file with a code in its tags."""
    return [replace(file, isrc=f"QZABC{number:07d}") if number % 2 else file for number, file in enumerate(files)]


def scale(count: int, tracks: int, seed: int) -> None:
    """A made-up folder of so many files, by 25 tracks an artist, and so many tracks, half of them in it."""
    random = np.random.default_rng(seed)
    syllables = [a + b for a in "bcdfghjklmnprstvwz" for b in ("an", "el", "is", "or", "una", "ay")]

    def name(length: int) -> str:
        return " ".join("".join(random.choice(syllables, 2)).title() for _ in range(length))

    artists = [name(2) for _ in range(max(1, count // 25))]
    files = [MusicFile(f"{number}.mp3", 1, 1, artists[number // 25 % len(artists)], name(3), name(2),
                       duration=float(random.uniform(120, 400))) for number in range(count)]  # fmt: skip
    chosen = [files[number] for number in random.permutation(count)[: tracks // 2]]
    numbers = {file.path: number for number, file in enumerate(files)}
    given = [replace(case, file=None if case.file is None else numbers[chosen[case.file].path])
             for case in cases(chosen, seed)]  # fmt: skip
    measure("made up", files, given, {number: {number} for number in range(count)})
    print(f"  memory of the process at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of music whose tags hold artist and title")
    parser.add_argument("--seeds", type=int, default=1, help="so many times, by other chances")
    parser.add_argument("--files", type=int, default=20_000, help="of the made-up folder; 0 leaves it out")
    parser.add_argument("--tracks", type=int, default=5_000, help="asked of the made-up folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        began = time.perf_counter()
        folder = MusicFolder(arguments.folder, Path(cache))
        files = folder.files
        print(f"indexed {len(files)} files in {time.perf_counter() - began:.2f} s")
        began = time.perf_counter()
        print(
            f"and again {len(MusicFolder(arguments.folder, Path(cache)).files)} in {time.perf_counter() - began:.2f} s"
        )
    same = same_recordings(folder.root, files)
    for seed in range(arguments.seeds):
        measure(f"tags, seed {seed}", files, cases(files, seed), same)
        measure(f"file names alone, seed {seed}", without_tags(files), cases(files, seed), same)
        measure(f"codes on half, seed {seed}", coded(files), cases(coded(files), seed), same)
    if arguments.files:
        scale(arguments.files, arguments.tracks, seed=0)


if __name__ == "__main__":
    main()
