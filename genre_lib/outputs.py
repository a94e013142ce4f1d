"""From what a network puts out to genres: one output for each, or AudioSet's classes, of which some are genres.

AudioSet's classes do not exclude each other: each output is the logit of an answer by itself, whether the class is
heard. Two definitions make genres of them, so that confidences are what they say:

* A genre is heard as surely as the surest of its classes. They lie within each other (*Psychedelic rock* within *Rock
  music*), so that their probabilities must not be added up.
* A track has one genre. If the genres are heard or not independently of each other, as the model was trained to say,
  then the probability that it is this one, given that it is exactly one, is proportional to p / (1 - p), which is the
  exponential of its logit. So the confidences are a softmax of the genres' logits, as for every other model, and add up
  to one. The probability that it is none of them, given that it is at most one, is ``outside``: among the same terms,
  with 1 for none of them. A speech, or a class of music that is no genre of ours, is mostly outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genre_lib.audioset import genre_classes


@dataclass(frozen=True)
class Outputs:
    """How a model's outputs are read.

    Args:
        genres: in the order of what :meth:`logits` gives.
        classes: for each genre the outputs that are read as it; None where each output is a genre.
    """

    genres: list[str]
    classes: list[list[int]] | None = None

    @classmethod
    def of(cls, labels: Sequence[str]) -> Outputs:
        """By the labels of the outputs."""
        found = genre_classes(labels)
        return cls(list(labels)) if found is None else cls(list(found), list(found.values()))

    def logits(self, outputs: np.ndarray) -> np.ndarray:
        """Logits of the genres [..., genres] from the network's outputs [..., outputs]."""
        if self.classes is None:
            return outputs
        return np.stack([outputs[..., places].max(axis=-1) for places in self.classes], axis=-1)

    def outside(self, logits: np.ndarray, temperature: float = 1.0) -> float | None:
        """Probability that it is none of the genres, from their logits [genres]; None where a model has no such thing.

        >>> Outputs(["rock", "jazz"], [[0], [1]]).outside(np.log([2.0, 1.0]))
        0.25
        """
        if self.classes is None:
            return None
        return float(np.exp(-np.logaddexp.reduce([0.0, *(np.asarray(logits, np.float64) / temperature)])))
