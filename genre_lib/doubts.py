"""What makes a prediction mean little: sound that is cut off, silent or very short."""

from __future__ import annotations

import numpy as np

from genre_lib.audio import Audio

SILENCE = 1e-4
"""-80 dB below full scale: what stays below it all along is no music."""

TELLING_SECONDS = 1.0
"""Less than a third of the clips that the models were trained on."""


def doubt(heard: Audio) -> str | None:
    """Why a prediction of this audio means little, in a sentence, or None."""
    if heard.warning:
        return heard.warning
    if float(np.abs(heard.waveform).max(initial=0)) < SILENCE:
        return f"{heard.name} is silent, so its genres mean nothing."
    if heard.duration < TELLING_SECONDS:
        return f"{heard.name} lasts {heard.duration:.2f} s; a genre needs a few seconds to be heard."
    return None
