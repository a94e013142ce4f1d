"""The same recording found again by its sound: in another format, at another level or bit rate, or as a part.

Landmarks after Wang 2003, "An industrial-strength audio search algorithm": the highest points of a spectrogram survive
coding and noise, and the distances between neighbouring ones are as good as a word. Two tracks that share many words at
one constant delay hold the same recording. Another performance, a remix at another tempo or a copy at another speed
is not the same recording and is not found.

Measured on 100 tracks of the Emotify set and excerpts of them at random places (``python benchmarks/check_catalogue.py
../shared/data/emotify --tracks 100 --recall``): at another level, in 8 bits, with noise at -20 dB, as mp3 at 64 and 24
kbit/s and as opus at 16 kbit/s, 87 to 99 % of the excerpts of 3 s are found, 96 to 100 % of 5 s and 98 to 100 % of
10 s, and none in a track that it is not from. Among the 242,000 pairs of different recordings of Emotify and GTZAN the
largest share of common words is 0.014, between two remixes of one song; the repeats in Emotify reach 0.20 to 0.45.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage, sparse

from genre_lib import audio

VERSION = "landmarks-1"
"""Changes with whatever changes the words, so that none of an older kind are taken from a cache."""

SAMPLE_RATE = 8000
"""Hz. The lowest rate that music comes at, so that all copies hold the band that is looked at."""

WINDOW = 1024
HOP = 256
"""Samples: frames of 128 ms, one every 32 ms."""

LOWEST_BIN, HIGHEST_BIN = 38, 460
"""300 to 3600 Hz: what telephones, small loudspeakers and every codec keep."""

PEAK_BINS, PEAK_FRAMES = 31, 21
"""A peak is the highest point within 240 Hz and 0.7 s around it."""

FLOOR = 1e-3
"""A peak is at most 60 dB below the track's highest, so that noise in silence counts for nothing."""

FAN = 8
"""Each peak is paired with at most so many that follow it …"""

MOST_FRAMES, MOST_BINS, MOST_PEAKS = 63, 63, 30
"""… within 2 s and 490 Hz, and among the next 30."""

LEAST_VOTES = 10
LEAST_SHARE = 0.04
LEAST_COMMON = 0.25
"""What makes two tracks one recording: words in common at one delay; their share of the words in the part that both
cover; and that share times the seconds of the part, since a short part has a large share by chance more often."""

MOST_WORDS = 1 << 24
"""Words that are compared at once; a larger library keeps one in two, three …, the same ones in every track."""

QUERY_WORDS = 1 << 14
LIKELY_DELAYS = 8
DELAY_BITS = 24


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a track: about 1 kB a second."""

    words: np.ndarray
    """uint32 [words]: frequency of a peak, distance to a later one in frequency and time."""
    frames: np.ndarray
    """int32 [words], ascending: when the first peak sounds, in hops."""
    digest: str
    """Of the decoded samples; equal for lossless copies."""
    seconds: float

    @classmethod
    def of(cls, waveform: np.ndarray) -> Fingerprint:
        """Fingerprint of a waveform [samples] at :data:`SAMPLE_RATE`."""
        words, frames = pair(*peaks(spectrogram(waveform)))
        return cls(words, frames, digest(waveform), len(waveform) / SAMPLE_RATE)

    def to_record(self) -> np.ndarray:
        """All of it as one structured array [], for :class:`genre_lib.cache.ArrayCache`."""
        return np.array((self.words, self.frames, self.digest.encode(), self.seconds), record_type(len(self.words)))

    @classmethod
    def from_record(cls, record: np.ndarray) -> Fingerprint:
        """The inverse of :meth:`to_record`; nothing of it stays mapped."""
        words, frames = np.array(record["words"]), np.array(record["frames"])
        return cls(words, frames, bytes(record["digest"]).decode(), float(record["seconds"]))


def record_type(words: int) -> np.dtype:
    return np.dtype([("words", "<u4", (words,)), ("frames", "<i4", (words,)), ("digest", "S32"), ("seconds", "<f8")])


@dataclass(frozen=True)
class Match:
    """Two tracks, by their numbers, that hold the same recording."""

    first: int
    second: int
    delay: float
    """Seconds after the first track's start at which the second one's start sounds; negative if before it."""
    seconds: float
    """Length of the common part."""
    share: float
    """Share of the words in it that both have: 1 for equal samples, 0.2 to 0.6 for copies as a rule."""


def digest(waveform: np.ndarray) -> str:
    """Equal for equal samples in 16 bits."""
    return hashlib.blake2b(np.round(waveform * 32767).astype("<i2").tobytes(), digest_size=16).hexdigest()


def spectrogram(waveform: np.ndarray) -> np.ndarray:
    """Magnitudes [frames, bins]; a track shorter than a window is filled with silence."""
    padded = np.pad(waveform, (0, max(0, WINDOW - len(waveform)))).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    return np.abs(fft.rfft(windows * np.hanning(WINDOW).astype(np.float32), axis=1))


def peaks(magnitudes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames and bins of the highest points of their surroundings, in the order of time."""
    band = magnitudes[:, LOWEST_BIN:HIGHEST_BIN]
    around = ndimage.maximum_filter1d(band, PEAK_BINS, axis=1, mode="constant")
    around = ndimage.maximum_filter1d(around, PEAK_FRAMES, axis=0, mode="constant")
    frames, bins = np.nonzero((band == around) & (band > FLOOR * band.max(initial=0)))
    return frames, bins + LOWEST_BIN


def pair(frames: np.ndarray, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Words and the frames of their first peaks, from peaks in the order of time."""
    count = len(frames)
    first = np.arange(count)[:, None]
    second = first + np.arange(1, MOST_PEAKS + 1)
    within = second < count
    second = np.minimum(second, max(0, count - 1))
    later, higher = frames[second] - frames[first], bins[second] - bins[first]
    near = within & (later >= 1) & (later <= MOST_FRAMES) & (np.abs(higher) <= MOST_BINS)
    anchor, column = np.nonzero(near & (np.cumsum(near, axis=1) <= FAN))
    words = (bins[anchor] << 13) | ((higher[anchor, column] + MOST_BINS + 1) << 6) | later[anchor, column]
    return words.astype(np.uint32), frames[anchor].astype(np.int32)


def matches(fingerprints: Sequence[Fingerprint]) -> list[Match]:
    """All pairs of tracks that hold the same recording, wholly or in part; ``first < second``."""
    equal = equal_samples(fingerprints)
    known = {(match.first, match.second) for match in equal}
    words = thinned(fingerprints)
    index = Index(words)
    found = [match for number in range(len(words)) for match in index.earlier_copies(number)]
    return sorted(
        equal + [match for match in found if (match.first, match.second) not in known],
        key=lambda match: (match.first, match.second),
    )


def equal_samples(fingerprints: Sequence[Fingerprint]) -> list[Match]:
    """Each lossless copy with the first track of its kind."""
    first: dict[str, int] = {}
    pairs = [(first.setdefault(each.digest, number), number) for number, each in enumerate(fingerprints)]
    return [Match(one, two, 0.0, fingerprints[one].seconds, 1.0) for one, two in pairs if one != two]


Words = tuple[np.ndarray, np.ndarray]


def thinned(fingerprints: Sequence[Fingerprint]) -> list[Words]:
    """Words and frames of each track, of the same few words in all of them where there are too many to compare."""
    total = sum(len(each.words) for each in fingerprints)
    every = -(-total // MOST_WORDS)
    if every <= 1:
        return [(each.words, each.frames) for each in fingerprints]
    chosen = [(each.words * np.uint32(2654435761) >> np.uint32(8)) % every == 0 for each in fingerprints]
    return [(each.words[kept], each.frames[kept]) for each, kept in zip(fingerprints, chosen, strict=True)]


class Index:
    """Where each word sounds, over all tracks."""

    def __init__(self, tracks: Sequence[Words]) -> None:
        self.tracks = tracks
        words = np.concatenate([words for words, _ in tracks]) if tracks else np.zeros(0, np.uint32)
        order = np.argsort(words, kind="stable")
        self.words = words[order]
        self.track = np.repeat(np.arange(len(tracks), dtype=np.int32), [len(words) for words, _ in tracks])[order]
        self.frame = np.concatenate([frames for _, frames in tracks])[order] if tracks else np.zeros(0, np.int32)

    def earlier_copies(self, number: int) -> list[Match]:
        """The matches of a track with those numbered before it, each at the delay with the largest share."""
        best: dict[int, Match] = {}
        for one, delay in zip(*(each.tolist() for each in self.likely_delays(number)), strict=True):
            match = self.compare(one, number, delay)
            if match.share >= max(LEAST_SHARE, LEAST_COMMON / match.seconds, best[one].share if one in best else 0):
                best[one] = match
        return list(best.values())

    def likely_delays(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of earlier tracks and delays in frames: the few best delays of each with enough words in common.

        There may be several, for music repeats itself: a chorus matches the other choruses too.
        """
        words, frames = self.tracks[number]
        parts = [
            self.count(number, words[start : start + QUERY_WORDS], frames[start : start + QUERY_WORDS])
            for start in range(0, max(1, len(words)), QUERY_WORDS)
        ]
        keys, inverse = np.unique(np.concatenate([keys for keys, _ in parts]), return_inverse=True)
        votes = np.bincount(inverse, np.concatenate([votes for _, votes in parts]), len(keys)).astype(np.int64)
        votes[:-1] += np.where(np.diff(keys) == 1, votes[1:], 0)  # frames of two copies lie up to half a hop apart
        enough = votes >= LEAST_VOTES
        keys, votes = keys[enough], votes[enough]
        tracks, delays = keys >> DELAY_BITS, (keys & ((1 << DELAY_BITS) - 1)) - (1 << (DELAY_BITS - 1))
        order = np.lexsort((-votes, tracks))
        place = np.arange(len(order)) - np.searchsorted(tracks[order], tracks[order])
        order = order[place < LIKELY_DELAYS]
        return tracks[order], delays[order]

    def count(self, number: int, words: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Words in common with earlier tracks, for each (track, delay) as one sortable key."""
        start, end = np.searchsorted(self.words, words, "left"), np.searchsorted(self.words, words, "right")
        length = end - start
        before = np.cumsum(length) - length
        at = np.repeat(start - before, length) + np.arange(length.sum())
        own = np.repeat(frames, length)
        earlier = self.track[at] < number
        at, own = at[earlier], own[earlier]
        delay = self.frame[at].astype(np.int64) - own + (1 << (DELAY_BITS - 1))
        return np.unique((self.track[at].astype(np.int64) << DELAY_BITS) | delay, return_counts=True)

    def compare(self, one: int, two: int, delay: int) -> Match:
        """Share of common words in the part that both tracks cover at a delay, each word counted once.

        Were it counted as often as it sounds, two loops with one sound in common would pass for copies.
        """
        (words, frames), (others, their_frames) = self.tracks[one], self.tracks[two]
        begin, end = max(frames[0], their_frames[0] + delay), min(frames[-1], their_frames[-1] + delay) + 1
        first = slice(*np.searchsorted(frames, (begin, end)))
        second = slice(*np.searchsorted(their_frames + delay, (begin, end)))
        keys = words[first].astype(np.int64) << 32 | frames[first]
        their_keys = others[second].astype(np.int64) << 32 | (their_frames[second] + delay)
        common = len(np.unique(words[first][np.isin(keys, np.concatenate([their_keys, their_keys + 1]))]))
        fewer = min(len(np.unique(words[first])), len(np.unique(others[second])))
        share = common / fewer if common >= LEAST_VOTES else 0.0
        return Match(one, two, delay * HOP / SAMPLE_RATE, float(end - begin) * HOP / SAMPLE_RATE, share)


def groups(found: Sequence[Match], count: int) -> list[list[int]]:
    """Numbers of the tracks that hold one recording, for each that stands more than once; a part joins its whole."""
    links = ([match.first for match in found], [match.second for match in found])
    graph = sparse.coo_matrix((np.ones(len(found)), links), shape=(count, count))
    labels = sparse.csgraph.connected_components(graph, directed=False)[1]
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1]) if count else []
    return sorted(sorted(int(number) for number in group) for group in members if len(group) > 1)


def duplicates(sources: Sequence[str | os.PathLike | np.ndarray]) -> list[list[int]]:
    """Groups of sources (paths, or waveforms at :data:`SAMPLE_RATE`) that hold the same recording, as their numbers.

    Raises:
        AudioError: a path cannot be decoded.
    """
    waveforms = (
        source if isinstance(source, np.ndarray) else audio.load(source, SAMPLE_RATE, on_truncated="ignore").waveform
        for source in sources
    )
    fingerprints = [Fingerprint.of(waveform) for waveform in waveforms]
    return groups(matches(fingerprints), len(fingerprints))
