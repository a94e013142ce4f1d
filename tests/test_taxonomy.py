"""Fine genre names as coarse ones: what is beyond doubt, what means two things, and what is no genre."""

from __future__ import annotations

import pytest

from genre_lib.labels import GENRES
from genre_lib.taxonomy import COARSE, coarse, map_name, read_table

KNOWN = {
    "blues": (
        "delta blues, electric blues, texas blues, jump blues, british blues, modern blues, memphis blues, "
        "harmonica blues, acoustic blues, blues"
    ),
    "classical": (
        "late romantic era, german baroque, english opera, british choir, russian classical piano, polish "
        "classical, early romantic era, italian opera, american orchestra, violin concerto"
    ),
    "country": (
        "contemporary country, modern country pop, classic country, texas country, canadian country, outlaw "
        "country, country dawn, bluegrass, honky tonk, red dirt"
    ),
    "disco": "italo disco, disco, post-disco, nu disco, eurodisco",
    "electronic": (
        "minimal techno, progressive house, melodic techno, vocal trance, liquid drum and bass, uk dubstep, "
        "deep tech house, german techno, hardstyle, psytrance, ambient, downtempo, chillstep, french "
        "electronica, idm, dutch edm, slap house, electro house, bass house, uk hardcore"
    ),
    "hiphop": (
        "atl hip hop, detroit hip hop, memphis rap, underground hip hop, chicago drill, french hip hop, "
        "melodic rap, east coast hip hop, alternative hip hop, gangster rap, uk hip hop, political hip hop, "
        "crunk, k-rap, polish trap"
    ),
    "jazz": (
        "hard bop, contemporary jazz, japanese jazz, swing, dixieland, jazz trumpet, modal jazz, smooth jazz, "
        "big band, vocal jazz"
    ),
    "metal": (
        "melodic death metal, norwegian black metal, thrash metal, german power metal, progressive metalcore, "
        "funeral doom, technical death metal, brutal deathcore, nu metal, djent"
    ),
    "pop": (
        "swedish synthpop ballad, danish pop, dutch pop, teen pop, taiwan pop, j-pop, boy band, acoustic pop, "
        "bubblegum pop, uk pop"
    ),
    "reggae": (
        "roots reggae, dancehall, lovers rock, modern reggae, dub, uk reggae, ska, jamaican ska, early "
        "reggae, dancehall queen"
    ),
    "rock": (
        "british indie rock, psychedelic rock, alternative rock, grunge, progressive rock, post-rock, math "
        "rock, glam rock, icelandic rock, stoner rock, garage rock revival, shoegaze, noise rock, "
        "instrumental rock, heartland rock"
    ),
    "folk": (
        "british folk, irish folk, indie folk, anti-folk, american folk revival, swedish folk, sea shanties, "
        "celtic fiddle, psychedelic folk, singer-songwriter"
    ),
    "punk": (
        "hardcore punk, skate punk, uk82 punk, street punk, riot grrrl, la punk, anarcho-punk, christian punk "
        "scene, oi, screamo"
    ),
    "rnb": (
        "neo soul, classic soul, northern soul, funk, quiet storm, contemporary r&b, deep soul, uk "
        "contemporary r&b, southern soul, alternative r&b"
    ),
    "latin": (
        "salsa, bachata dominicana, reggaeton colombiano, cumbia peruana, mariachi, norteno-sax, tango, samba "
        "enredo, vallenato moderno, banda sinaloense"
    ),
    "gospel": "worship, black gospel, southern gospel, praise",
    "soundtrack": "movie soundtrack, broadway, video game music, show tunes, scorecore",
    "world": "afrobeats, highlife, qawwali, bhangra, mbalax, soukous, carnatic, gamelan, zouk, kizomba antigas",
}
"""Names whose genre nobody would argue about, written down before they were looked up."""

NO_GENRES = (
    "christmas, workout, sleep, german, barbershop, drumline, escape room, meditation, comedy, reading, rain, asmr, "
    "spoken word, canadian, australian, mexican, poetry, lecture, motivation, birthday, halloween"
)

FALSE_FRIENDS = {
    "rock steady": "reggae",
    "trap soul": "hiphop",
    "liquid funk": "electronic",
    "hardcore techno": "electronic",
    "hardcore hip hop": "hiphop",
    "baile funk": "latin",
    "opera metal": "metal",
    "jazz rap": "hiphop",
    "rap rock": "hiphop",
    "classical crossover": "classical",
    "house": "electronic",
    "ambient dub": "electronic",
    "hip house": "electronic",
    "soul jazz": "jazz",
    "country blues": "blues",
    "gospel blues": "blues",
}


def heaviest(name: str) -> str | None:
    mapped = map_name(name)
    return max(mapped.weights, key=lambda genre: mapped.weights[genre]) if mapped else None


@pytest.mark.parametrize(
    ("genre", "name"), [(genre, name) for genre, all_ in KNOWN.items() for name in all_.split(", ")]
)
def test_names_beyond_doubt(genre: str, name: str):
    assert heaviest(name) == genre


@pytest.mark.parametrize("name", NO_GENRES.split(", "))
def test_what_is_no_genre_stays_unmapped(name: str):
    assert map_name(name) is None


@pytest.mark.parametrize(("name", "genre"), FALSE_FRIENDS.items())
def test_a_word_is_not_taken_for_what_it_means_elsewhere(name: str, genre: str):
    assert heaviest(name) == genre


@pytest.mark.parametrize("name", ["Hip-Hop", "hip hop", "HIP HOP", " hip_hop "])
def test_spellings_are_one(name: str):
    assert map_name(name) == map_name("hip hop")


def test_rhythm_and_blues_is_one_word_and_no_blues():
    assert map_name("R&B").weights == {"rnb": 1.0}
    assert map_name("drum & bass").weights == {"electronic": 1.0}


def test_what_a_thing_is_stands_last():
    assert map_name("bluegrass gospel").weights == {"gospel": 0.7, "country": 0.3}
    assert map_name("gospel bluegrass").weights == {"country": 0.7, "gospel": 0.3}


def test_words_in_a_longer_name_keep_their_weights():
    assert map_name("modern country pop").weights == map_name("country pop").weights == {"country": 0.5, "pop": 0.5}


def test_weak_words_count_where_nothing_else_does():
    assert map_name("indie").rule == "weak indie"
    assert map_name("indie soul").weights == {"rnb": 1.0}


def test_every_decision_names_its_line():
    told = coarse(["trap latino", "deep house", "skatecore metalcore", "alternative", "christmas"])
    assert dict(told.rules) == {
        "trap latino": "exact trap latino",
        "deep house": "word deep house",
        "skatecore metalcore": "word metalcore",
        "alternative": "weak alternative",
    }
    assert told.unmapped == ("christmas",)


def test_an_ending_tells_of_words_that_nobody_has_met():
    assert map_name("blackened splattergrind").rule == "ending -grind"


def test_several_names_are_weighed_alike_and_add_up_to_one():
    found = coarse(["blues rock", "rock", "rock", "christmas"])  # rock is said once
    assert dict(found.weights) == {"rock": pytest.approx(0.7), "blues": pytest.approx(0.3)}
    assert list(found.weights) == ["rock", "blues"]
    assert coarse(["christmas"]).weights == {}


def test_the_table_knows_only_genres_of_ours_and_all_of_them():
    weights = [one for rule in read_table().values() for one in rule.values()]
    assert set().union(*weights) == set(COARSE)
    assert set(GENRES) < set(COARSE)
    assert all(sum(one.values()) == pytest.approx(1) for one in weights)
    assert len(weights) > 1300


def test_the_starters_genres_stand_for_themselves():
    assert {name: heaviest(name) for name in GENRES} == {name: name for name in GENRES}
