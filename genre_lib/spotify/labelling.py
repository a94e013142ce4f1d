"""What the tracks of a library are called: by their artists' genres, by the user's own playlists, or by a table.

A label that is not clear is no label: a track on two of the playlists, or of an artist between two genres, would teach
a model something wrong. What was left out is counted by its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from genre_lib import labels as spelling
from genre_lib.errors import InvalidTrackId, LabelsInvalid
from genre_lib.spotify.ids import track_id
from genre_lib.spotify.label_rows import Row, genres_in, read_rows, twice_told
from genre_lib.spotify.library import Library, Playlist, Track
from genre_lib.spotify.summary import genres_of
from genre_lib.taxonomy import coarse
from genre_lib.wording import counted

Tags = Callable[[Track], Sequence[str]]
"""Genre tags of a recording from elsewhere, asked where Spotify names no genre."""

CLEAR_LEAD = 0.15
"""By how much the heaviest genre's weight must exceed the next one's, of one in all, to be the track's."""

FEWEST_TRACKS = 10
FEWEST_ARTISTS = 3
"""A class with fewer cannot stand in train, valid and test without an artist in two of them."""

MOST_NAMED = 10


@dataclass(frozen=True)
class Labels:
    """What tracks are called, and what decided it.

    Args:
        genres: by track id, the one label.
        weights: by track id, all that is said of it, adding up to one; of tracks without a label, too.
        rules: by track id, what decided: a line of the taxonomy, the playlist, or the table.
        left_out: by track id, why it has no label.
        unmapped: fine genre names that stand for no genre of ours, with their tracks.
        names: by fine name, the coarse genre that it came to and its tracks.
        twice: a sentence for each track that a table gives several genres, with the lines that do.
    """

    genres: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    unmapped: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[tuple[str, str], int] = field(default_factory=dict)
    twice: Sequence[str] = ()

    def summary(self) -> pd.DataFrame:
        """A row for each rule that decided, and for each reason why there was no label: ``what``, ``tracks``."""
        rows = [(f"by {rule}", tracks) for rule, tracks in Counter(self.rules.values()).most_common()]
        rows += [(f"left out: {why}", tracks) for why, tracks in Counter(self.left_out.values()).most_common()]
        rows += [(f"no genre of ours: {name}", tracks) for name, tracks in list(self.unmapped.items())[:MOST_NAMED]]
        return pd.DataFrame(rows, columns=["what", "tracks"])

    def by_name(self) -> pd.DataFrame:
        """``genre``, fine ``name`` and ``tracks``, for :func:`genre_lib.plots.genre_map`."""
        rows = [(genre, name, tracks) for (genre, name), tracks in self.names.items()]
        return pd.DataFrame(rows, columns=["genre", "name", "tracks"])


# --- by the artists' genres -------------------------------------------------------------------------------------------


def by_genre(library: Library, tags: Tags | None = None) -> Labels:
    """Spotify's genres of the artists, else the recording's tags, as coarse genres; unclear ones are left out.

    Raises:
        LabelsInvalid: nothing, or one genre alone, comes of it.
    """
    genres, weights, rules, left_out = {}, {}, {}, {}
    unmapped: Counter[str] = Counter()
    names: Counter[tuple[str, str]] = Counter()
    for id, track in library.tracks.items():
        said = genres_of(track, library) or list(tags(track) if tags else ())
        found = coarse(said)
        unmapped.update(found.unmapped)
        weights[id] = found.weights
        if not found.weights:
            left_out[id] = "no genre is named" if not said else "its genre names stand for none of ours"
        elif is_clear(found.weights):
            genres[id] = next(iter(found.weights))
            deciding = next(name for name in said if genres[id] in coarse([name]).weights)
            rules[id] = found.rules[deciding]
            names[genres[id], deciding] += 1
        else:
            left_out[id] = "between two genres"
    return require_two(Labels(genres, weights, rules, left_out, dict(unmapped.most_common()), names), "genre")


def is_clear(weights: Mapping[str, float]) -> bool:
    """Whether the first of the weights, which stand in their order, leads."""
    first, *others = weights.values()
    return not others or first - others[0] >= CLEAR_LEAD


# --- by the user's playlists ------------------------------------------------------------------------------------------


def by_playlist(
    library: Library,
    chosen: Sequence[str] | None = None,
    fewest_tracks: int = FEWEST_TRACKS,
    fewest_artists: int = FEWEST_ARTISTS,
) -> Labels:
    """The playlists that the user made are the classes; a track on two of them is left out.

    Args:
        chosen: names or ids of playlists, anybody's; None: all of the user's own.
        fewest_tracks, fewest_artists: that a playlist needs to be a class.

    Raises:
        LabelsInvalid: a chosen playlist is not there, or fewer than two are large enough.
    """
    wanted = _chosen(library, chosen) if chosen else [one for one in library.playlists if one.owner == library.user_id]
    large = [one for one in wanted if is_large(one, library, fewest_tracks, fewest_artists)]
    if len(large) < 2:
        raise LabelsInvalid(
            f"Playlists as labels need two or more with at least {fewest_tracks} tracks by {fewest_artists} artists; "
            f"of {counted(len(wanted), 'playlist')} {len(large)} {'is' if len(large) == 1 else 'are'}. Fill some, name "
            "others, or label by genre."
        )
    names = unique_names(large)
    homes: dict[str, list[str]] = {}
    for one in large:
        for id in one.track_ids:
            homes.setdefault(id, []).append(names[one.id])
    left_out = {id: why_homeless(homes.get(id, ())) for id in library.tracks if len(homes.get(id, ())) != 1}
    one_home = {id: homes[id][0] for id in library.tracks if len(homes.get(id, ())) == 1}
    weights = {id: {name: 1 / len(found) for name in found} for id, found in homes.items() if id in library.tracks}
    rules = {id: f"playlist {name}" for id, name in one_home.items()}
    return require_two(Labels(one_home, weights, rules, left_out), "playlist")


def is_large(playlist: Playlist, library: Library, fewest_tracks: int, fewest_artists: int) -> bool:
    tracks = [library.tracks[id] for id in playlist.track_ids if id in library.tracks]
    return len(tracks) >= fewest_tracks and len({track.artist for track in tracks}) >= fewest_artists


def unique_names(playlists: Sequence[Playlist]) -> dict[str, str]:
    """A clean name for each playlist by its id; of two with the same, the second has a number behind it."""
    names: dict[str, str] = {}
    for one in playlists:
        name = spelling.clean(one.name) or "unnamed"
        same = sum(taken == name or taken.startswith(f"{name} (") for taken in names.values())
        names[one.id] = f"{name} ({same + 1})" if same else name
    return names


def why_homeless(found: Sequence[str]) -> str:
    return f"on {len(found)} of the playlists" if found else "on none of the playlists"


def _chosen(library: Library, chosen: Sequence[str]) -> list[Playlist]:
    known = {key: one for one in library.playlists for key in (one.id, spelling.clean(one.name))}
    unknown = [name for name in chosen if name not in known and spelling.clean(name) not in known]
    if unknown:
        raise LabelsInvalid(
            f"The library has no playlist {', '.join(unknown[:MOST_NAMED])}; it has "
            f"{', '.join(one.name for one in library.playlists[:MOST_NAMED]) or 'none'}."
        )
    return list({(one := known.get(name) or known[spelling.clean(name)]).id: one for name in chosen}.values())


# --- by a table -------------------------------------------------------------------------------------------------------


def by_table(library: Library, csv_path: Path) -> Labels:
    """A column of one's own: a CSV with a track's id, URI or link (or its ISRC) and its genre.

    A track that it gives two genres is left out, and named.

    Raises:
        LabelsInvalid: it cannot be read, lacks a column, names nothing of the library, or one genre alone.
    """
    rows = read_rows(csv_path)
    by_isrc = {track.isrc: id for id, track in library.tracks.items() if track.isrc}
    of: dict[str, list[Row]] = {}
    unknown: list[str] = []
    for row in rows:
        id = by_isrc.get(row.key.upper().replace("-", "")) or _id_of(row.key)
        if id in library.tracks:
            of.setdefault(id, []).append(row)
        else:
            unknown.append(row.key)
    if not of:
        raise LabelsInvalid(
            f"None of the {counted(len(rows), 'row')} of {csv_path} names a track of the library, first "
            f"{rows[0].key[:60]!r}; fetch the library first, or give ids as `genre spotify fetch --output` writes them."
        )
    genres = {id: said[-1].genre for id, said in of.items() if len(genres_in(said)) == 1}
    left_out = dict.fromkeys(library.tracks.keys() - of.keys(), "not in the table")
    left_out |= dict.fromkeys(of.keys() - genres.keys(), "in the table under several genres")
    left_out |= dict.fromkeys(unknown, "in the table, and not in the library")
    weights = {id: {genre: 1.0} for id, genre in genres.items()}
    twice = [twice_told(library.tracks[id], said) for id, said in of.items() if id not in genres]
    return require_two(Labels(genres, weights, dict.fromkeys(genres, "table"), left_out, twice=twice), "table")


def _id_of(text: str) -> str:
    """The id that a URI, a link or an id names; ``""`` where it names none."""
    try:
        return track_id(text)
    except InvalidTrackId:
        return ""


def require_two(labels: Labels, kind: str) -> Labels:
    """Refuse what no model could learn from."""
    classes = sorted(set(labels.genres.values()))
    if len(classes) >= 2:
        return labels
    came = f"all {len(labels.genres)} labelled tracks are {classes[0]}" if classes else "no track got a label"
    why = Counter(labels.left_out.values()).most_common(1)
    reason = f" Most others: {why[0][0]} ({why[0][1]})." if why else ""
    reason += f" {labels.twice[0]}." if labels.twice else ""
    other = {"genre": "playlist or csv:FILE", "playlist": "genre or csv:FILE", "table": "genre or playlist"}[kind]
    raise LabelsInvalid(f"A model needs two classes, and {came}.{reason} Label by {other} instead.")
