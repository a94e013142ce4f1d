"""Which status an error is answered with."""

from __future__ import annotations

from genre_lib.errors import AudioTooLong, ConfigurationError, EmptyAudio, ModelNotFound, NotAudio
from genre_lib.service import errors


def test_statuses():
    errors_and_statuses = {
        NotAudio: 415,
        EmptyAudio: 422,
        AudioTooLong: 422,
        ModelNotFound: 404,
        ConfigurationError: 500,
    }
    assert {kind: errors.status_of(kind("x")) for kind in errors_and_statuses} == errors_and_statuses
