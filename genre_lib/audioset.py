"""AudioSet's classes of music genre, and the genres of ours that they are read as.

``audioset.csv`` beside this file is the whole of it: the classes of the ontology's branch "Music genre" as far as they
are among the 527 that models are trained on, in the ontology's order, and for each the genre, or none where the class
says how music is made or for whom: *A capella*, *Music for children*. The genre is that of :mod:`genre_lib.taxonomy`,
one of the two where a name means two there; the music of whole continents is ``world``.

See Also:
    Gemmeke et al., "Audio Set: An ontology and human-labeled dataset for audio events", ICASSP 2017. The names of the
    classes are AudioSet's (CC BY 4.0).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from genre_lib.labels import clean
from genre_lib.taxonomy import COARSE

TABLE = Path(__file__).with_name("audioset.csv")

CLASSES = 527
"""How many there are in all."""

BESIDE = ("Music", "Speech")
"""Two of the classes outside the branch: who has these and all of the branch has AudioSet's classes."""


@cache
def read_table() -> dict[str, str]:
    """Genre by class; empty where the class is read as none.

    Raises:
        ValueError: a line names a genre that is none of ours, or a class that another has.
    """
    with TABLE.open(encoding="utf-8", newline="") as file:
        lines = [(line["class"], line["genre"]) for line in csv.DictReader(file)]
    table = dict(lines)
    if len(table) < len(lines) or not set(table.values()) <= {*COARSE, ""}:
        raise ValueError(f"{TABLE.name} should name each class once, and genres of {', '.join(COARSE)}.")
    return table


def genre_classes(labels: Sequence[str]) -> dict[str, list[int]] | None:
    """Places of the classes that are read as each genre, by genre in alphabetical order.

    Args:
        labels: of a classifier, in the order of its outputs.

    Returns:
        None where they are not AudioSet's classes, by whatever name the model goes.
    """
    table = read_table()
    if len(labels) < len(table):
        return None
    places = {clean(label): place for place, label in enumerate(labels)}
    if not all(clean(name) in places for name in (*table, *BESIDE)):
        return None
    found: dict[str, list[int]] = {genre: [] for genre in sorted({*table.values()} - {""})}
    for name, genre in table.items():
        if genre:
            found[genre].append(places[clean(name)])
    return found
