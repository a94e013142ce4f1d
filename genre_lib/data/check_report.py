"""What a check of a catalogue found, and whether a run may begin on it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Literal

import pandas as pd

from genre_lib.data.catalogue import Catalogue
from genre_lib.errors import CatalogueInvalid, CatalogueLeaks
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

DOUBTED = frozenset({"artist_in_two_genres"})
"""Warnings that training tells even where there is no error: labels that contradict each other."""

LONGEST_TOLD = 300
"""Characters of a finding in the line that training tells."""

LEAKS = frozenset({"duplicate_across_splits", "artist_in_two_splits"})


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

    def told(self) -> str | None:
        """What training says of it, in a line; None where there is nothing to say before the training."""
        worst = [finding for finding in self.findings if finding in self.errors or finding.kind in DOUBTED]
        if not worst:
            return None
        counts = {"error": len(self.errors), "warning": len(self.warnings)}
        found = " and ".join(counted(number, noun) for noun, number in counts.items() if number)
        first = worst[0].message[:LONGEST_TOLD].rstrip(".")
        return f"The music has {found}, first: {first}."

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
