"""Sound of which a genre says little."""

from __future__ import annotations

import numpy as np

from genre_lib.audio import Audio
from genre_lib.doubts import doubt

RATE = 1000


def heard(seconds: float, level: float, claimed: float | None = None) -> Audio:
    return Audio(np.full(round(seconds * RATE), level, np.float32), RATE, claimed, "song.mp3")


def test_what_is_long_and_loud_enough_is_not_doubted():
    assert doubt(heard(1.0, 2e-4)) is None


def test_silence_a_short_piece_and_a_part_are_told():
    assert doubt(heard(3.0, 0.5e-4)) == "song.mp3 is silent, so its genres mean nothing."
    assert doubt(heard(0.5, 0.1)) == "song.mp3 lasts 0.50 s; a genre needs a few seconds to be heard."
    assert "claims 4.00 s, but only 3.00 s" in doubt(heard(3.0, 0.0, claimed=4.0))
