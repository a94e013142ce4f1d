"""Words that invented people, bands, songs and playlists are named with."""

from __future__ import annotations

from random import Random


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST = _words("""
    Aino Amara Anselm Beatriz Bram Calla Cosima Dario Delphine Edda Elio Farah Fenna Goran Hanneke Idris Ilse
    Jorun Kaito Keziah Leif Lumi Marisol Matteo Mirela Nadia Noor Odile Oskar Petra Quentin Rafael Ronja Sanna
    Soren Tamsin Thandi Ulla Viggo Wanda Xenia Yusuf Zelda
""")
LAST = _words("""
    Abendroth Ackerly Bellweather Brandvold Caldera Castellane Dunmore Eklund Farrowgate Fjellstad Garrick
    Halloway Hartvig Ibarrola Jessamine Kestrel Kirchweger Larkspur Lindqvist Marchetti Merriwell Nakadai Norrby
    Okonjo Orsini Pellerin Quillfeather Ravensworth Rosenlund Saltmarsh Sandoval Tanglewood Thackeray Umberto
    Valdemar Vantongeren Wexcombe Winterbourne Yarrow Zielonka
""")
ADJECTIVES = _words("""
    Amber Broken Cardinal Distant Electric Faded Gilded Hollow Idle Jagged Kindred Lonely Magnetic Northern Opal
    Paper Quiet Restless Silver Tidal Unspoken Velvet Wandering Young Zinc
""")
NOUNS = _words("""
    Antlers Avenues Bridges Cinemas Comets Dialects Engines Foxes Gardens Harbours Islands Kites Lanterns Mirrors
    Needles Orchards Parades Pilots Quarries Rivers Satellites Tigers Umbrellas Vandals Wolves
""")
VERBS = _words("Breathe Burn Carry Chase Drift Fall Follow Forget Hold Leave Let Run Stay Turn Wait")
THINGS = _words("""
    Atlas Autumn Balcony Candle City Daylight Ember Fever Ghost Harvest Hour Letter Midnight Morning Ocean
    Photograph Radio Season Shadow Summer Telephone Thunder Train Window Winter
""")
MOODS = _words("Rainy Sunny Slow Late Early Quiet Loud Old New Long Lost Golden")
MOMENTS = _words("Sundays Evenings Roads Mornings Kitchens Runs Trains Nights Summers Letters")

EPISODES = ("The Long Fade", "Liner Notes", "Behind the Fader", "One Song an Hour")
SPOTIFYS = ("Discover Weekly", "Daily Mix", "On Repeat", "Release Radar")

MICRO_GENRES: dict[str, tuple[str, ...]] = {
    "blues": ("delta blues", "chicago blues", "blues rock", "soul blues"),
    "classical": ("baroque", "romantic era", "early music", "chamber music"),
    "country": ("outlaw country", "bluegrass", "alt-country", "nashville sound"),
    "electronic": ("deep house", "detroit techno", "drum and bass", "ambient techno", "idm"),
    "folk": ("indie folk", "freak folk", "nordic folk", "singer-songwriter"),
    "hiphop": ("boom bap", "trap", "east coast hip hop", "conscious hip hop"),
    "jazz": ("bebop", "cool jazz", "hard bop", "nu jazz"),
    "latin": ("salsa", "cumbia", "reggaeton", "bossa nova"),
    "metal": ("doom metal", "black metal", "thrash metal", "djent"),
    "pop": ("dance pop", "art pop", "synthpop", "dream pop"),
    "reggae": ("roots reggae", "dub", "dancehall", "rocksteady"),
    "rock": ("indie rock", "garage rock", "post-punk", "shoegaze"),
}
"""Fine genres such as Spotify names, below a coarse one."""


def person(random: Random) -> str:
    return f"{random.choice(FIRST)} {random.choice(LAST)}"


def band(random: Random) -> str:
    forms = ("The {a} {n}", "{a} {n}", "{t} {n}", "{a} {t}", "{f} & The {n}", "{l} Quartet")
    return _filled(random.choice(forms), random)


def artist(random: Random) -> str:
    return person(random) if random.random() < 0.4 else band(random)


def song(random: Random) -> str:
    forms = (
        "{v} the {t}",
        "{a} {t}",
        "{v} Me, {f}",
        "{t} of {n}",
        "{v} Away",
        "{t}",
        "No More {n}",
        "{a} {t}, {a} {n}",
    )
    return _filled(random.choice(forms), random)


def playlist(genre: str, random: Random) -> str:
    return f"{random.choice(MOODS)} {genre.title()} {random.choice(MOMENTS)}"


def _filled(form: str, random: Random) -> str:
    words = {"a": ADJECTIVES, "n": NOUNS, "v": VERBS, "t": THINGS, "f": FIRST, "l": LAST}
    while "{" in form:
        key = form[form.index("{") + 1]
        form = form.replace(f"{{{key}}}", random.choice(words[key]), 1)
    return form
