"""How a source of music spells genres and splits, and what they are read as: for telling who wrote them otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

MOST_TOLD = 8
"""Names that are told; of more, their number."""


@dataclass(frozen=True)
class Spellings:
    """What stands in a source, and what it is read as; what is read as it stands is among them."""

    genres: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)

    def told(self) -> str | None:
        """A line about what was renamed or put together, the latter first; None where nothing was.

        >>> Spellings({"Rock": "rock", "ROCK": "rock", "K-Pop": "k pop", "jazz": "jazz"}, {"dev": "valid"}).told()
        'Read otherwise than it stands there: ROCK and Rock as one genre, rock; K-Pop as k pop; the split dev as valid.'
        """
        groups = _groups(self.genres)
        joined = [f"{' and '.join(names)} as one genre, {name}" for name, names in groups.items() if len(names) > 1]
        single = [f"{names[0]} as {name}" for name, names in groups.items() if len(names) == 1 and names != [name]]
        splits = [
            f"the split {given} as {name}" for given, name in sorted(self.splits.items()) if _differs(given, name)
        ]
        changes = [*joined, *single, *splits]
        if len(changes) > MOST_TOLD:
            changes[MOST_TOLD:] = [f"and {len(changes) - MOST_TOLD} more"]
        return f"Read otherwise than it stands there: {'; '.join(changes)}." if changes else None


def spelt(given: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    """What each name that occurs is read as, of names side by side."""
    return {one: other for one, other in zip(given, taken, strict=True) if one}


def _groups(names: Mapping[str, str]) -> dict[str, list[str]]:
    """For each name that is used, those that are read as it, sorted."""
    taken = sorted(set(names.values()))
    return {name: sorted(given for given, other in names.items() if other == name) for name in taken}


def _differs(given: str, taken: str) -> bool:
    return given.casefold() != taken
