"""What MusicGen is told to play for a genre: ``prompts.csv`` beside this file, several prompts a genre, for variety.

The rows of ``*`` are for genres that the table does not have; ``{genre}`` in them stands for the name.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from genre_lib.errors import ConfigurationError
from genre_lib.labels import clean

TABLE = Path(__file__).with_name("prompts.csv")
ANY = "*"


def prompt(genre: str, number: int) -> str:
    """The prompt of that number for a genre; past the last, the first comes again.

    >>> prompt("Jazz", 1), prompt("polka", 0)
    ('slow jazz ballad, tenor saxophone and brushed drums', 'polka music, instrumental, studio recording')

    Raises:
        ConfigurationError: the genre has no name.
    """
    name = clean(genre)
    if not name:
        raise ConfigurationError("A genre to make music of needs a name, and came empty.")
    table = read_table()
    # As one word, for the table has "hiphop" and "rnb". A techno is not read as electronic: its own name says more.
    choice = table.get(name.replace(" ", "").replace("&", "n")) or table[ANY]
    return choice[number % len(choice)].replace("{genre}", name)


@cache
def read_table() -> dict[str, list[str]]:
    """Prompts by genre, in the table's order."""
    prompts: dict[str, list[str]] = {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            prompts.setdefault(line["genre"], []).append(line["prompt"])
    return prompts
