"""Look at a catalogue before it trains: everything that is wrong with it, at once and with paths.

Errors make scores wrong or a track useless: a file that does not decode, an artist or a recording in two splits, a
recording under two genres, a generated track that is to be scored. Warnings are worth knowing: a track shorter than it
claims, a recording twice in one split, an artist under two genres, a tag that names another genre, a genre too small
to split.

A catalogue is ``ok`` when it has no errors. A strict run calls :meth:`CheckReport.raise_if_errors` and so refuses to
begin on any error, and on warnings never; a run that is not strict tells them all and goes on with
:meth:`CheckReport.usable`, the tracks that decode.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd

from genre_lib import audio, labels
from genre_lib.cache import ArrayCache, combine, content_digest
from genre_lib.data import fingerprint
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.fingerprint import Fingerprint, Match
from genre_lib.data.generated import are_generated
from genre_lib.data.splits import artist_key, group_numbers
from genre_lib.data.tags import read_tags
from genre_lib.errors import AudioError, AudioNotFound, CatalogueInvalid, CatalogueLeaks
from genre_lib.settings import get_settings
from genre_lib.wording import counted

Severity = Literal["error", "warning"]

SEVERITIES: dict[str, Severity] = {
    "undecodable": "error",
    "duplicate_across_splits": "error",
    "recording_under_two_genres": "error",
    "artist_in_two_splits": "error",
    "generated_outside_train": "error",
    "one_genre": "error",
    "cannot_be_split": "error",
    "truncated": "warning",
    "duplicate": "warning",
    "artist_in_two_genres": "warning",
    "tag_disagrees": "warning",
    "class_too_small": "warning",
}
"""The kinds of findings, in the order in which they are told."""

LEAKS = frozenset({"duplicate_across_splits", "artist_in_two_splits"})

EMPTY_TAGS = frozenset(
    {"", "other", "unknown", "misc", "miscellaneous", "genre", "none", "undefined", "music", "default"}
)
"""Genre tags, after :func:`labels.clean`, that say nothing."""

NEEDED_GROUPS = 3
"""Artists that a genre needs to stand in train, valid and test."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and the files that it is about."""

    kind: str
    message: str
    paths: list[str]

    @property
    def severity(self) -> Severity:
        return SEVERITIES[self.kind]


@dataclass(frozen=True)
class CheckReport:
    """All findings, errors first."""

    findings: list[Finding]
    tracks: int
    seconds: float
    """Decoded length of all tracks."""
    copies: list[list[str]] = field(default_factory=list)
    """Paths of each recording that stands more than once; what :func:`genre_lib.data.splits.assign` takes as groups."""

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def warnings(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "warning"]

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings may be."""
        return not self.errors

    def raise_if_errors(self) -> None:
        """Refuse a catalogue with errors.

        Raises:
            CatalogueLeaks: one of them is an artist or a recording in two splits; the message names all errors.
            CatalogueInvalid: there are other errors; the message names all.
        """
        if self.ok:
            return
        kind = CatalogueLeaks if any(finding.kind in LEAKS for finding in self.errors) else CatalogueInvalid
        named = " ".join(finding.message for finding in self.errors)
        raise kind(f"The catalogue should have no errors, and has {len(self.errors)}: {named}")

    def usable(self, catalogue: Catalogue) -> Catalogue:
        """The tracks that decode.

        Raises:
            CatalogueInvalid: none does.
        """
        broken = {path for finding in self.findings if finding.kind == "undecodable" for path in finding.paths}
        return Catalogue(catalogue.tracks[~catalogue.tracks["path"].isin(broken)])

    def counts(self) -> dict[str, int]:
        """Findings of each kind that there are."""
        kinds = [finding.kind for finding in self.findings]
        return {kind: kinds.count(kind) for kind in SEVERITIES if kind in kinds}

    def to_table(self) -> pd.DataFrame:
        """Columns severity, kind, message, files (their number) and paths; one row a finding."""
        rows = [
            [finding.severity, finding.kind, finding.message, len(finding.paths), finding.paths]
            for finding in self.findings
        ]
        return pd.DataFrame(rows, columns=["severity", "kind", "message", "files", "paths"])

    def to_json(self) -> str:
        findings = [{"severity": finding.severity, **asdict(finding)} for finding in self.findings]
        return json.dumps(
            {"ok": self.ok, "tracks": self.tracks, "seconds": self.seconds, "findings": findings}, indent=2
        )


def check(
    catalogue: Catalogue,
    *,
    decode: bool = True,
    sound: bool = True,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Find everything that is wrong with a catalogue.

    Args:
        catalogue: With or without splits.
        decode: Decode every file once, to find what is broken, cut off, or there twice; what an
            earlier check decoded is remembered under ``CACHE_PATH``. Without it only files that are missing, artists,
            tags and genre sizes are looked at.
        sound: Whether there are files at all. Without, only artists and genre sizes are looked at: the tracks are
            known by the table's columns alone.
        workers: Files that are decoded side by side; as many as there are cores by default.
        progress: Called with the number of files done and their total after each file.
    """
    heard = list(listen_all(catalogue, decode, workers, progress)) if sound else unheard(catalogue)
    prints = [(number, each.fingerprint) for number, each in enumerate(heard) if each.fingerprint is not None]
    numbers = [number for number, _ in prints]
    found = fingerprint.matches([each for _, each in prints])
    found = [Match(numbers[m.first], numbers[m.second], m.delay, m.seconds, m.share) for m in found]
    tracks = catalogue.tracks.assign(tag=[each.tag for each in heard])
    paths = list(tracks["path"])
    copies = [[paths[number] for number in group] for group in fingerprint.groups(found, len(paths))]
    findings = [
        *broken_files(heard),
        *repeated(tracks, found),
        *artists_in_two(tracks, "split"),
        *artists_in_two(tracks, "genre"),
        *generated_outside_train(tracks),
        *disagreeing_tags(tracks),
        *small_classes(tracks, copies),
    ]
    order = list(SEVERITIES)
    findings.sort(key=lambda finding: order.index(finding.kind))
    return CheckReport(findings, len(catalogue), sum(each.seconds for each in heard), copies)


# --- files ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heard:
    """What is known of a file after it was opened once."""

    path: str
    tag: str
    seconds: float = 0.0
    error: AudioError | None = None
    truncated: str | None = None
    fingerprint: Fingerprint | None = None


def listen_all(
    catalogue: Catalogue, decode: bool, workers: int | None, progress: Callable[[int, int], None] | None
) -> Iterator[Heard]:
    """Each file in the catalogue's order. Threads do: FFmpeg, the FFT and NumPy leave the interpreter free."""
    tracks = catalogue.tracks
    known = tracks["tag_genre"] if "tag_genre" in tracks else [None] * len(tracks)
    with ThreadPoolExecutor(workers or len(os.sched_getaffinity(0))) as pool:
        heard = pool.map(partial(listen, decode=decode), tracks["path"], known)
        for done, each in enumerate(heard, 1):
            if progress:
                progress(done, len(tracks))
            yield each


def unheard(catalogue: Catalogue) -> list[Heard]:
    """What is known of tracks without their files."""
    return [Heard(path, "") for path in catalogue.tracks["path"]]


def listen(path: str, tag: str | None, decode: bool) -> Heard:
    """Open a file once: its tag, its length, its fingerprint, or its error."""
    tag = read_tags(Path(path))["tag_genre"] if tag is None else tag
    try:
        if not Path(path).is_file():
            raise AudioNotFound(f"There is no file at {path}.")
        if not decode:
            return Heard(path, tag)
        return hear(path, tag)
    except AudioError as error:
        return Heard(path, tag, error=error)


def hear(path: str, tag: str) -> Heard:
    """Decode a file; a whole one is decoded once, and known from the cache by its content from then on."""
    settings = get_settings()
    cache = ArrayCache(settings.cache_path / "fingerprints", settings.cache_max_bytes)
    key = combine(content_digest(path), fingerprint.VERSION)
    record = cache.get(key)
    if record is not None:
        known = Fingerprint.from_record(record)
        return Heard(path, tag, known.seconds, fingerprint=known)
    decoded = audio.load(path, fingerprint.SAMPLE_RATE, on_truncated="ignore")
    found = Fingerprint.of(decoded.waveform)
    if not decoded.warning:
        cache.put(key, found.to_record())
    return Heard(path, tag, decoded.duration, None, decoded.warning, found)


def broken_files(heard: list[Heard]) -> Iterator[Finding]:
    missing = [each.path for each in heard if isinstance(each.error, AudioNotFound)]
    if missing:
        yield Finding("undecodable", f"{len(missing)} of {len(heard)} files are missing, first {missing[0]}.", missing)
    for each in heard:
        if each.error and not isinstance(each.error, AudioNotFound):
            yield Finding("undecodable", str(each.error), [each.path])
        if each.truncated:
            yield Finding("truncated", each.truncated, [each.path])


# --- recordings and artists -------------------------------------------------------------------------------------------


def repeated(tracks: pd.DataFrame, found: list[Match]) -> Iterator[Finding]:
    """For each recording that stands more than once, what makes it bad: two genres, two splits, or neither."""
    root = os.path.commonpath([Path(path).parent for path in tracks["path"]])
    for group in fingerprint.groups(found, len(tracks)):
        rows = tracks.iloc[group]
        common = [match.seconds for match in found if match.first in group]
        about = f"{listed(rows['path'], root)} hold the same recording ({max(common):.0f} s of it)"
        genres, splits = several(rows["genre"]), several(rows["split"])
        if genres:
            yield Finding("recording_under_two_genres", f"{about} under {' and '.join(genres)}.", list(rows["path"]))
        if splits:
            yield Finding("duplicate_across_splits", f"{about} in {' and '.join(splits)}.", list(rows["path"]))
        if not genres and not splits:
            yield Finding("duplicate", f"{about}.", list(rows["path"]))


def artists_in_two(tracks: pd.DataFrame, column: Literal["split", "genre"]) -> Iterator[Finding]:
    artists = tracks["artist"].map(artist_key)
    named = tracks[(artists != "") & (tracks[column] != "")]
    values_of = named.groupby(artists)[column].nunique()
    suspects = artists[artists.isin(values_of.index[values_of > 1])]
    for artist, rows in tracks.loc[suspects.index].groupby(suspects):
        values = several(rows[column])
        if values:
            counts = " and ".join(f"{value} ({int((rows[column] == value).sum())})" for value in values)
            name = rows["artist"].iloc[0] or artist
            yield Finding(f"artist_in_two_{column}s", f"{name} stands in {counts}.", list(rows["path"]))


def generated_outside_train(tracks: pd.DataFrame) -> Iterator[Finding]:
    wrong = tracks[are_generated(tracks["source"]) & tracks["split"].isin(["valid", "test"])]
    for split, rows in wrong.groupby("split"):
        yield Finding(
            "generated_outside_train",
            f"{counted(len(rows), 'generated track')} in {split}, first {Path(rows['path'].iloc[0]).name}; they are "
            "for train alone, and are left out of scores.",
            list(rows["path"]),
        )


def several(values: pd.Series) -> list[str]:
    """The sorted values if there are two or more; "" is none."""
    different = sorted(set(values) - {""})
    return different if len(different) > 1 else []


def listed(paths: pd.Series, root: str) -> str:
    """The first three paths as text, relative to the catalogue's common folder, and how many more there are."""
    names = [os.path.relpath(path, root) for path in paths]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


# --- genres -----------------------------------------------------------------------------------------------------------


def disagreeing_tags(tracks: pd.DataFrame) -> Iterator[Finding]:
    """One finding for each genre and tag that reads as another genre, the most frequent first."""
    speaks = ~tracks["tag"].map(labels.clean).isin(EMPTY_TAGS)
    differs = tracks["tag"].map(labels.canonical) != tracks["genre"].map(labels.canonical)
    pairs = tracks[speaks & differs].groupby(["genre", "tag"])
    for (genre, tag), rows in sorted(pairs, key=lambda pair: -len(pair[1])):
        total = int((tracks["genre"] == genre).sum())
        yield Finding("tag_disagrees", f"{len(rows)} of {total} {genre} tracks are tagged {tag!r}.", list(rows["path"]))


def small_classes(tracks: pd.DataFrame, copies: list[list[str]]) -> Iterator[Finding]:
    """Genres that are missing from a split that others have, or, without splits, that have too few artists for it.

    The latter cannot be trained on: :func:`genre_lib.data.splits.assign` refuses them.
    """
    if tracks["genre"].nunique() < 2:
        message = f"All tracks are {tracks['genre'].iloc[0]}; a model needs two genres to choose from."
        yield Finding("one_genre", message, [])
    splits = sorted(set(tracks["split"]) - {""})
    if (tracks["split"] != "").all():
        for genre, rows in tracks.groupby("genre"):
            missing = [split for split in splits if split not in set(rows["split"])]
            if missing:
                message = f"{genre} has {counted(len(rows), 'track')} and none in {' and '.join(missing)}."
                yield Finding("class_too_small", message, list(rows["path"]))
        return
    tracks = tracks[~are_generated(tracks["source"])]
    for genre, rows in tracks.assign(group=group_numbers(tracks, copies)).groupby("genre"):
        if rows["group"].nunique() < NEEDED_GROUPS:
            artists = counted(rows["group"].nunique(), "artist")
            message = f"{genre} has tracks by {artists}; {NEEDED_GROUPS} are needed for train, valid and test."
            kind = "cannot_be_split" if (tracks["split"] == "").all() else "class_too_small"
            yield Finding(kind, message, list(rows["path"]))
