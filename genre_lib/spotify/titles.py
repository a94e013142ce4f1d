"""What a title says: which piece it is, which recording of it, and what only tells one release from another.

``Bohemian Rhapsody - Remastered 2011`` is the recording that ``Bohemian Rhapsody`` is; ``… - Live at Wembley`` is
another one. So a title is taken apart at its brackets and dashes, and each part is one of three: it names a version
(live, remix, acoustic …), it names a release or a guest (and is dropped), or it belongs to the name of the piece.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from genre_lib.spotify.names import folded, words

KINDS: dict[str, str] = {
    "live": r"live|concert|concierto|konzert|unplugged|en vivo|en directo|ao vivo|dal vivo|sessions?|tiny desk",
    "remix": r"remix(ed|es)?|rmx|mix(ed)?|rework(ed)?|refix|mash ?up|vip|dub|flip|bootleg|megamix",
    "acoustic": r"acoustic|acustic[oa]|acoustique|akustik|stripped|piano version|solo piano|unplugged version",
    "instrumental": r"instrumentals?|backing track|minus one|playback|no vocals",
    "karaoke": r"karaoke|originally performed|made famous|in the style of|tribute|cover(ed)?|sing along",
    "a cappella": r"a ?cap+el+as?|vocals only",
    "demo": r"demos?|outtakes?|rough|rehearsals?|alternate|alternative|take \d+|early|unfinished|work in progress",
    "edit": r"(re ?)?edit(ed)?|radio|single (version|mix)|short( version)?|video version|cut",
    "extended": r"extended|12 inch|long version|full length",
    "speed": r"sped up|speed up|slowed|nightcore|reverb|8d|chopped|screwed",
    "own": r"re ?record(ed|ing)|remake|new recording|version|orchestral|symphonic|reprise|commentary|medley",
}
"""Words that make another recording of a part of a title, by kind."""

COMPILED = {kind: re.compile(rf"\b(?:{pattern})\b") for kind, pattern in KINDS.items()}

RELEASE = re.compile(
    r"\b(?:"
    r"(?:\d{4} )?(?:digital(?:ly)? )?re ?master(?:ed|ing)?(?: (?:version|edition|mono|stereo|in))*(?: \d{4})?"
    r"|album (?:version|mix)|original (?:mix|version|album version|recording|studio recording)|studio version"
    r"|(?:mono|stereo)(?: (?:version|mix))?|(?:explicit|clean)(?: (?:version|album version))?"
    r"|bonus(?: track)?"
    r"|(?:super )?(?:deluxe|expanded|special|anniversary|collectors|legacy|standard)(?: (?:edition|version))?"
    r"|official(?: (?:music|lyrics?))?(?: (?:video|audio|visualizer))?|lyrics?(?: video)?|audio|video|hd|hq|4k|explicit"
    r"|\d{4} (?:edition|reissue)|reissue"
    r")\b"
)  # fmt: skip
"""What one release of a recording is told from another by."""

LONGEST = 500
"""Letters of a title that are looked at; some tags hold the lyrics."""

FILLER = frozenset({"the", "a", "and", "edition", "in", "at", "from", "by", "of", "on"})
COUNT = re.compile(r"\d+(?:st|nd|rd|th)?")
BRACKETS = re.compile(r"[(\[{]([^()\[\]{}]*)[)\]}]")
DASHES = re.compile(r"\s+[-–—|/]+\s+|\s+[-–—]+(?=\w)|(?<=\w)[-–—]+\s+|\s*//\s*")
GUEST = re.compile(r"^(?:feat|ft|featuring|with|w/)(?:\.|\b)\s*", re.IGNORECASE)
GUEST_WITHIN = re.compile(r"\s(?:feat|ft|featuring)(?:\.|\b)\s*(.+)$", re.IGNORECASE)
ORIGIN = re.compile(r"^(?:from|theme from|aus|de la|du film)\s", re.IGNORECASE)
MASTERED = re.compile(r"\s(?:\d{4} )?(?:digital(?:ly)? )?remaster(?:ed)?(?: version)?(?: \d{4})?$", re.IGNORECASE)

LIVE_ALBUM = re.compile(r"\blive (?:at|in|from|on)\b|\bunplugged\b|\bin concert\b|[(\[]live[)\]]|[-:] live$|^live$")
KARAOKE_ALBUM = re.compile(r"\bkaraoke\b")


@dataclass(frozen=True)
class Title:
    """A title taken apart.

    Args:
        key: of the piece: its words without spaces.
        words: of the piece.
        kinds: of :data:`KINDS`, that its recording is; none for the one in the studio.
        detail: words that say which one of the kind, such as who remixed it, or where and when it was played.
        guests: who else plays, as it is written.
        origin: words of what it is from, such as a film.
    """

    key: str
    words: tuple[str, ...]
    kinds: frozenset[str] = frozenset()
    detail: frozenset[str] = frozenset()
    guests: tuple[str, ...] = ()
    origin: frozenset[str] = frozenset()

    @property
    def searched(self) -> str:
        """Words to search for it by, without what belongs to a release."""
        return " ".join((*self.words, *sorted(self.kinds), *sorted(self.detail)))


@lru_cache(maxsize=1 << 16)
def parse(title: str, album: str = "") -> Title:
    """Take a title apart; an album that says ``Live at …`` or ``Karaoke`` says it of its titles.

    >>> parse("Hurt (feat. Nine Inch Nails) - 2002 Remaster").key
    'hurt'
    >>> sorted(parse("Sunset (138 BPM Remix)").kinds)
    ['remix']
    """
    base, parts = taken_apart(title[:LONGEST])
    kinds, detail, origin = set(kinds_of_album(album)), set[str](), set[str]()
    first, guests = without_guests(base)
    core = [first]
    for whole in parts:
        part, named = without_guests(whole)
        guests += named
        if found := version_of(part):
            kinds |= found[0]
            detail |= found[1]
        elif ORIGIN.match(part):
            origin |= set(words(part)) - FILLER
        elif part and not is_release(part):
            core.append(part)
    piece = without_article(words(" ".join(core)))
    key = "".join(piece) or folded(title).strip()
    return Title(key, tuple(piece), frozenset(kinds), frozenset(detail), tuple(guests), frozenset(origin))


def taken_apart(title: str) -> tuple[str, list[str]]:
    """The base, and what stands in brackets or after dashes."""
    parts: list[str] = []

    def keep(match: re.Match[str]) -> str:
        parts.append(match.group(1).strip())
        return " " if match.start() or not title.strip().startswith(match.group(0)) else f" {parts.pop()} "

    text, before = title, ""
    while text != before:  # brackets within brackets, from the inside out
        before, text = text, BRACKETS.sub(keep, text)
    base, *dashed = [piece.strip() for piece in DASHES.split(text)]
    pieces = [piece for piece in (*dashed, *parts) if piece]
    if not words(base) and pieces:
        base, pieces = pieces[0], pieces[1:]
    return MASTERED.sub("", base), pieces


def without_guests(part: str) -> tuple[str, list[str]]:
    """A part of a title before ``feat. …``, and those who are named after it."""
    if GUEST.match(part):
        return "", [GUEST.sub("", part)]
    found = GUEST_WITHIN.search(part)
    return (part[: found.start()], [found.group(1)]) if found else (part, [])


def version_of(part: str) -> tuple[set[str], set[str]] | None:
    """The kinds of recording that a part of a title names, and the other words in it; None where it names none."""
    left = RELEASE.sub(" ", spaced(part))
    kinds = {kind for kind, pattern in COMPILED.items() if pattern.search(left)}
    if len(kinds) > 1:
        kinds.discard("own")  # "acoustic version" is the acoustic kind alone
    if not kinds:
        return None
    for pattern in COMPILED.values():
        left = pattern.sub(" ", left)
    return kinds, set(left.split()) - FILLER


def is_release(part: str) -> bool:
    """Whether a part of a title only tells one release from another."""
    text = spaced(part)
    left = RELEASE.sub(" ", text)
    rest = [word for word in left.split() if word not in FILLER and not COUNT.fullmatch(word)]
    return left != text and not rest


def spaced(text: str) -> str:
    return " ".join(words(text))


def kinds_of_album(album: str) -> frozenset[str]:
    text = folded(album)
    live = {"live"} if LIVE_ALBUM.search(text) else set()
    return frozenset(live | ({"karaoke"} if KARAOKE_ALBUM.search(text) else set()))


def without_article(piece: list[str]) -> list[str]:
    if len(piece) > 1 and piece[0] == "the":
        return piece[1:]
    return piece[:-1] if len(piece) > 1 and piece[-1] == "the" else piece
