"""The log-mel front end of the CNN, as a Hugging Face feature extractor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature, SequenceFeatureExtractor

from genre_lib.networks.logmel import LogMel


class LogMelFeatureExtractor(SequenceFeatureExtractor, LogMel):
    """:class:`genre_lib.networks.logmel.LogMel` with what transformers asks of a feature extractor.

    Args: as there, and ``padding_value``, which transformers asks for and which nothing uses.
    """

    model_input_names = ["input_values"]  # noqa: RUF012 (the base class declares it so)

    def __init__(
        self,
        feature_size: int = 128,
        sampling_rate: int = 22050,
        padding_value: float = 0.0,
        n_fft: int = 2048,
        hop_length: int = 512,
        f_min: float = 30.0,
        f_max: float | None = None,
        mean: float = -4.3,
        std: float = 4.8,
        floor: float = 1e-8,
        **kwargs: Any,
    ) -> None:
        kwargs["return_attention_mask"] = False
        SequenceFeatureExtractor.__init__(self, feature_size, sampling_rate, padding_value, **kwargs)
        LogMel.__init__(self, feature_size, sampling_rate, n_fft, hop_length, f_min, f_max, mean, std, floor)

    def __call__(
        self,
        raw_speech: np.ndarray | torch.Tensor | Sequence,
        sampling_rate: int | None = None,
        return_tensors: str | None = None,
        **_: Any,
    ) -> BatchFeature:
        """One or several waveforms → ``input_values`` [batch, mels, frames]; see :meth:`LogMel.features`.

        Args:
            raw_speech: ``[samples]``, ``[batch, samples]`` or a list of ``[samples]``, filled to one length.
            sampling_rate: checked if given.
            return_tensors: ``"pt"``, ``"np"`` or None for a list of arrays.

        Raises:
            ValueError: another sampling rate than the extractor's, more than one channel, or no samples.
        """
        features = self.features(raw_speech, sampling_rate)
        if return_tensors == "pt":
            return BatchFeature({"input_values": features})
        arrays = features.cpu().numpy()
        return BatchFeature({"input_values": arrays if return_tensors == "np" else list(arrays)})
