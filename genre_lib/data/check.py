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

from collections.abc import Callable

from genre_lib.data import fingerprint
from genre_lib.data.catalogue import Catalogue
from genre_lib.data.check_findings import (
    artists_in_two,
    broken_files,
    disagreeing_tags,
    generated_outside_train,
    repeated,
    small_classes,
)
from genre_lib.data.check_hearing import listen_all, unheard
from genre_lib.data.check_report import SEVERITIES, CheckReport
from genre_lib.data.fingerprint import Match


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
            earlier check decoded is remembered under ``CACHE_PATH``. Without it nothing is decoded: beside files that
            are missing, artists, tags and genre sizes, repeats are found among the files that are remembered.
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
