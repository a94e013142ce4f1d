from __future__ import annotations

from genre_lib import errors


def test_code_is_the_name_in_snake_case():
    assert errors.NotAudio("x").code == "not_audio"
    assert errors.AudioTooLong("x").code == "audio_too_long"


def test_codes_are_distinct_and_every_error_has_one_root():
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, Exception)]
    assert all(issubclass(kind, errors.GenreLibError) for kind in kinds)
    assert len({kind("x").code for kind in kinds}) == len(kinds)


def test_first_line_of_a_message():
    assert errors.first_line("\n  It broke.\n  Long story") == "It broke"
    assert errors.first_line(" \n") == "no message"
