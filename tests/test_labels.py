from __future__ import annotations

import pytest

from genre_lib.labels import ALIASES, GENRES, canonical, clean


@pytest.mark.parametrize(
    ("written", "genre"),
    [
        ("Hip-Hop", "hiphop"),
        ("hip_hop", "hiphop"),
        ("Rap / Hip Hop", "hiphop"),
        ("Electronica", "electronic"),
        ("Alternative  Rock", "rock"),
        ("R&B", "rnb"),
        ("Bossa Nova", "bossa nova"),
    ],
)
def test_canonical(written: str, genre: str):
    assert canonical(written) == genre


def test_canonical_is_idempotent():
    assert all(canonical(canonical(name)) == canonical(name) for name in [*ALIASES, *GENRES])


def test_every_alias_is_clean():
    assert all(clean(name) == name for name in ALIASES)


def test_genres_are_their_own_canonical_names_in_order():
    assert tuple(sorted(canonical(genre) for genre in GENRES)) == GENRES
