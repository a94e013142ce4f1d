"""Of how many tracks there is audio, by source, and the audio of one: the sources are asked in their order.

A dry run downloads no audio: the folder's index and the addresses that came with the tracks are looked at for every
track, while Deezer and Apple, which answer few calls in a time, are asked about some tracks that are spread over the
library (:data:`SAMPLES`), and the rest is an estimate by them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from genre_lib.errors import NoAudio, RateLimited, SpotifyUnreachable
from genre_lib.spotify.library import Track
from genre_lib.spotify.sound import AudioSource, Sound
from genre_lib.spotify.sources import SWITCHES
from genre_lib.wording import counted

SAMPLES = {"deezer": 50, "itunes": 15}
"""Tracks that a dry run asks a source about at most: what it answers without a wait."""

SAID = {
    "folder": "no file in it is surely this recording",
    "spotify": "no preview came with the track, or it is gone",
    "deezer": "no preview under its ISRC",
    "itunes": "no result is surely this recording",
}

# --- one track --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tried:
    """A source that was asked, and what became of it, for a person."""

    source: str
    said: str


@dataclass(frozen=True)
class Found:
    """A track's audio, and what was tried until it was there; None where no source has it.

    Args:
        resume_at: when to ask again, in seconds since 1970, where a source answers no more calls; else 0.
    """

    sound: Sound | None
    tried: tuple[Tried, ...]
    resume_at: float = 0.0


def find(track: Track, sources: Sequence[AudioSource]) -> Found:
    """Ask one source after the other until one has the audio; one that does not answer is passed over."""
    tried: list[Tried] = []
    resume_at = 0.0
    for source in sources:
        try:
            sound = source.find(track)
        except RateLimited as error:
            tried.append(Tried(source.name, str(error)))
            resume_at = min(resume_at or error.resume_at, error.resume_at)
            continue
        except SpotifyUnreachable as error:
            tried.append(Tried(source.name, str(error)))
            continue
        if sound:
            return Found(sound, (*tried, Tried(source.name, f"found by {sound.how}, {sound.sureness:.0%} sure")))
        tried.append(Tried(source.name, SAID.get(source.name, "has none")))
    return Found(None, tuple(tried), resume_at)


def sound_of(track: Track, sources: Sequence[AudioSource]) -> Sound:
    """The audio of a track.

    Raises:
        RateLimited: none of the others has it, and one takes no more calls for now.
        NoAudio: no source has it; says what was tried, and what is switched off.
    """
    found = find(track, sources)
    if found.sound:
        return found.sound
    message = f"No audio was found for {named(track)}. {told(found.tried)}{switched_off(sources)}"
    if found.resume_at:
        raise RateLimited(message, found.resume_at)
    raise NoAudio(message)


def named(track: Track) -> str:
    return f"{track.artist} – {track.title}" if track.artist and track.title else f"track {track.id}"


def told(tried: Sequence[Tried]) -> str:
    return (
        "Tried: " + "; ".join(f"{each.source}: {each.said.rstrip('.')}" for each in tried) + "."
        if tried
        else ("No source of audio is switched on.")
    )


def switched_off(sources: Sequence[AudioSource]) -> str:
    on = {source.name for source in sources}
    off = [f"{name} ({switch})" for name, switch in SWITCHES.items() if name not in on]
    return f" Switched off: {', '.join(off)}." if off else ""


# --- a library --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SourceCoverage:
    """What one source has of the tracks that no earlier one has.

    Args:
        lacking: tracks that no earlier source has.
        asked: how many of them it was asked about.
        found: of those asked.
        note: why it was not asked about all, ``""`` where it was.
    """

    source: str
    lacking: int
    asked: int
    found: int
    note: str = ""

    @property
    def estimate(self) -> int:
        """Tracks of those lacking that it has, by the share of those asked."""
        return round(self.lacking * self.found / self.asked) if self.asked else 0


@dataclass(frozen=True)
class Coverage:
    """Of how many tracks there is audio, by source.

    Args:
        sureness: by track id, of those that were found, by the first source that has them.
    """

    tracks: int
    sources: tuple[SourceCoverage, ...]
    sureness: Mapping[str, float] = field(default_factory=dict)

    @property
    def estimate(self) -> int:
        """Tracks with audio from any source; exact where no source was asked about some alone."""
        return min(self.tracks, sum(each.estimate for each in self.sources))


def coverage(
    tracks: Sequence[Track],
    sources: Sequence[AudioSource],
    *,
    samples: Mapping[str, int] = SAMPLES,
    progress: Callable[[int, int, str], object] | None = None,
) -> Coverage:
    """What each source has, in their order, without downloading audio.

    Args:
        samples: the most tracks that a source is asked about; a source that is not named is asked about all.
        progress: called with tracks asked, tracks to ask, and the name of the source.
    """
    sureness: dict[str, float] = {}
    told: list[SourceCoverage] = []
    for source in sources:
        lacking = [track for track in tracks if track.id not in sureness]
        chosen = spread(lacking, samples.get(source.name, len(lacking)))
        found, asked, note = ask(source, chosen, progress)
        if not note and len(chosen) < len(lacking):
            note = f"asked about {counted(asked, 'track')} of {len(lacking):,}; the rest is an estimate"
        sureness |= found
        told.append(SourceCoverage(source.name, len(lacking), asked, len(found), note))
    return Coverage(len(tracks), tuple(told), sureness)


def ask(
    source: AudioSource, tracks: Sequence[Track], progress: Callable[[int, int, str], object] | None
) -> tuple[dict[str, float], int, str]:
    """How surely a source has each of the tracks that it has, how many it was asked about, and why not about all."""
    found: dict[str, float] = {}
    for done, track in enumerate(tracks):
        try:
            sure = source.has(track)
        except (RateLimited, SpotifyUnreachable) as error:
            return found, done, str(error)
        if sure > 0:
            found[track.id] = sure
        if progress:
            progress(done + 1, len(tracks), source.name)
    return found, len(tracks), ""


def spread(tracks: Sequence[Track], most: int) -> list[Track]:
    """So many tracks at equal distances, all where there are no more."""
    if len(tracks) <= most:
        return list(tracks)
    return [tracks[number * len(tracks) // most] for number in range(most)]
