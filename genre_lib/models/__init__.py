"""Networks and their feature extractors, in the Hugging Face format.

Importing this package makes the CNN known to transformers' Auto classes, so that ``AutoModelForAudioClassification``
and ``pipeline("audio-classification", model=folder)`` work on its folders as on any other's. It imports transformers, which
takes seconds; the networks themselves, and all that prediction needs, are in :mod:`genre_lib.networks`.
"""

from __future__ import annotations

from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForAudioClassification

from genre_lib.models.cnn import GenreCNNConfig, GenreCNNForAudioClassification
from genre_lib.models.logmel import LogMelFeatureExtractor

AutoConfig.register(GenreCNNConfig.model_type, GenreCNNConfig, exist_ok=True)
AutoFeatureExtractor.register(GenreCNNConfig, LogMelFeatureExtractor, exist_ok=True)
AutoModelForAudioClassification.register(GenreCNNConfig, GenreCNNForAudioClassification, exist_ok=True)
