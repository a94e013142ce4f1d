"""Networks and their feature extractors, in the Hugging Face format.

Importing this package makes ours known to transformers' Auto classes, so that ``AutoModelForAudioClassification``
and ``pipeline("audio-classification", model=folder)`` work on their folders as on any other's. It imports transformers,
which takes seconds; the networks themselves, and all that prediction needs, are in :mod:`genre_lib.networks`.
"""

from __future__ import annotations

from genre_lib.imports import uncollected

with uncollected("transformers"):
    from transformers import (
        AutoConfig,
        AutoFeatureExtractor,
        AutoModel,
        AutoModelForAudioClassification,
        EncodecFeatureExtractor,
    )

    from genre_lib.models.cnn import GenreCNNConfig, GenreCNNForAudioClassification
    from genre_lib.models.fusion import GenreFusionConfig, GenreFusionForAudioClassification
    from genre_lib.models.logmel import LogMelFeatureExtractor
    from genre_lib.models.musicgen import (
        GenreMusicgenConfig,
        GenreMusicgenForAudioClassification,
        GenreMusicgenModel,
    )
    from genre_lib.models.musicnn import MusicnnForAudioClassification, MusicnnModelConfig

for config, network in (
    (GenreCNNConfig, GenreCNNForAudioClassification),
    (MusicnnModelConfig, MusicnnForAudioClassification),
    (GenreFusionConfig, GenreFusionForAudioClassification),
):
    AutoConfig.register(config.model_type, config, exist_ok=True)
    AutoFeatureExtractor.register(config, LogMelFeatureExtractor, exist_ok=True)
    AutoModelForAudioClassification.register(config, network, exist_ok=True)

AutoConfig.register(GenreMusicgenConfig.model_type, GenreMusicgenConfig, exist_ok=True)
AutoFeatureExtractor.register(GenreMusicgenConfig, EncodecFeatureExtractor, exist_ok=True)
AutoModel.register(GenreMusicgenConfig, GenreMusicgenModel, exist_ok=True)
AutoModelForAudioClassification.register(GenreMusicgenConfig, GenreMusicgenForAudioClassification, exist_ok=True)
