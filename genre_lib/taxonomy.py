"""Thousands of fine genre names, such as streaming services give, as the few that a model is trained on.

``taxonomy.csv`` beside this file is the whole of it: a line is a rule, the genres it stands for (with weights where a
name honestly means two) and the names it holds for. Of the rules of a name the first that holds decides:

* ``exact``: the whole name; or, where it has several words, these words in a longer one;
* ``word``: words of it, the longest run of words first. English puts what a thing is last, so the last of several
  counts :data:`HEAD` of the whole, and the others share the rest: *jazz rap* is rap before it is jazz;
* ``ending``: the end of its last word, as in *metalcore* or *rockabilly*;
* ``weak``: words that say a genre only where nothing else does: *indie* alone is rock, *indie folk* is folk.

What no rule holds for stays unmapped: a mood, a season or a country alone is no genre.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from genre_lib.labels import GENRES, clean

TABLE = Path(__file__).with_name("taxonomy.csv")

COARSE: tuple[str, ...] = tuple(sorted((*GENRES, "folk", "gospel", "latin", "punk", "rnb", "soundtrack", "world")))
"""The starter's eleven genres, and those that people miss beside them; ``rnb`` is soul and funk, too."""

HEAD = 0.7
"""Weight of the last genre that a name's words say, where they say several."""

Weights = dict[str, float]


@dataclass(frozen=True)
class Mapped:
    """What a name came to, and by which line of the table: its rule and the words that it held for."""

    weights: Mapping[str, float]
    rule: str


@dataclass(frozen=True)
class Coarse:
    """What several names came to together.

    Args:
        weights: by coarse genre, the heaviest first; they add up to one, or there are none.
        rules: by name, the line of the table that decided.
        unmapped: names that no rule holds for.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)
    unmapped: tuple[str, ...] = ()


def coarse(names: Iterable[str]) -> Coarse:
    """The coarse genres of a track or an artist that is said to be of all these fine ones, each counting the same.

    >>> coarse(["jazz rap", "east coast hip hop", "christmas"]).weights
    {'hiphop': 0.8, 'jazz': 0.2}
    """
    found = {name: map_name(name) for name in dict.fromkeys(names)}
    total: Counter[str] = Counter()
    for mapped in found.values():
        if mapped:
            total.update(mapped.weights)
    whole = sum(total.values())
    return Coarse(
        {genre: round(weight / whole, 6) for genre, weight in total.most_common()},
        {name: mapped.rule for name, mapped in found.items() if mapped},
        tuple(name for name, mapped in found.items() if not mapped),
    )


def map_name(name: str) -> Mapped | None:
    """What one fine name stands for; None where no rule holds.

    >>> map_name("Nu-Metalcore").weights
    {'metal': 0.6, 'punk': 0.4}
    """
    words = tuple(folded(name).split())
    rules = read_table()
    whole = " ".join(words)
    if whole in rules["exact"]:
        return Mapped(rules["exact"][whole], f"exact {whole}")
    return _by_words(words, "word") or _by_ending(words) or _by_words(words, "weak")


def folded(name: str) -> str:
    """One spelling: as :func:`genre_lib.labels.clean`, with ``&`` as a word and R&B as one."""
    text = clean(name).replace("r&b", "rnb").replace("r'n'b", "rnb").replace("'n'", " and ")
    return " ".join(text.replace("&", " and ").replace("/", " ").split())


@cache
def read_table() -> dict[str, dict[str, Weights]]:
    """Genres by name, for each kind of rule.

    Raises:
        ValueError: a line names an unknown genre, weights that do not add up to one, or a name that another has.
    """
    rules: dict[str, dict[str, Weights]] = {"exact": {}, "word": {}, "ending": {}, "weak": {}}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            weights = _weights(line["genres"])
            for name in map(folded, line["names"].split(";")):
                if name in rules[line["rule"]]:
                    raise ValueError(f"{TABLE.name} has the {line['rule']} {name!r} twice.")
                rules[line["rule"]][name] = weights
    rules["word"] |= {name: weights for name, weights in rules["exact"].items() if " " in name}
    return rules


def _weights(text: str) -> Weights:
    """``"pop"`` or ``"pop:0.6 rock:0.4"``."""
    parts = (part.partition(":") for part in text.split())
    weights = {genre: float(weight or 1) for genre, _, weight in parts}
    if not weights.keys() <= set(COARSE) or abs(sum(weights.values()) - 1) > 1e-9:
        raise ValueError(f"{TABLE.name}: {text!r} should name genres of {', '.join(COARSE)} and add up to one.")
    return weights


def _by_words(words: tuple[str, ...], rule: str) -> Mapped | None:
    """Runs of words that the table has, from left to right, the longest first."""
    table, found, place = read_table()[rule], [], 0
    while place < len(words):
        for length in range(len(words) - place, 0, -1):
            run = " ".join(words[place : place + length])
            if run in table:
                found.append(run)
                break
        place += length if found and run == found[-1] else 1
    if not found:
        return None
    return Mapped(_head_first([table[run] for run in found]), f"{rule} {' + '.join(found)}")


def _head_first(meanings: list[Weights]) -> Weights:
    """The last meaning counts most, where there are several that differ."""
    head, others = meanings[-1], [one for one in meanings[:-1] if one != meanings[-1]]
    if not others:
        return dict(head)
    total: Counter[str] = Counter({genre: HEAD * weight for genre, weight in head.items()})
    for one in others:
        total.update({genre: (1 - HEAD) / len(others) * weight for genre, weight in one.items()})
    return {genre: round(weight, 6) for genre, weight in total.most_common()}


def _by_ending(words: tuple[str, ...]) -> Mapped | None:
    """The longest ending of the last word, where something stands before it."""
    last = words[-1] if words else ""
    endings = [end for end in read_table()["ending"] if last.endswith(end) and last != end]
    if not endings:
        return None
    longest = max(endings, key=len)
    return Mapped(dict(read_table()["ending"][longest]), f"ending -{longest}")
