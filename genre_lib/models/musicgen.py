"""MusicGen as a listener: what its language model thinks of the music's codes, pooled over time, under a genre head.

MusicGen (Copet et al. 2023, arXiv:2306.05284) writes music as codes of EnCodec at 32 kHz (Défossez et al. 2022,
arXiv:2210.13438). Here it reads them: the codec makes codes of a clip, the decoder reads them as it would its own, each
codebook a step later than the one before, and hidden states of a layer in its middle are averaged over time. That the
middle of a music model knows most of what is heard was found for Jukebox (Castellon et al. 2021, arXiv:2107.05677);
that MusicGen's layers tell notes, chords and tempi, by Wei et al. (2024, arXiv:2410.00872).

No text is given, and without text MusicGen's cross-attention adds nothing: it is told zeros, and none of its layers has
a bias. So neither the text encoder is kept, nor the cross-attention, the layers above, and the codec's way back to
sound. All but the head rests: codes are whole numbers, through which no gradient goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    EncodecConfig,
    EncodecFeatureExtractor,
    EncodecModel,
    MusicgenConfig,
    MusicgenDecoderConfig,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers import initialization as init
from transformers.configuration_utils import SubConfigSpec
from transformers.modeling_outputs import BaseModelOutputWithPooling, SequenceClassifierOutput
from transformers.models.musicgen.modeling_musicgen import MusicgenDecoder

from genre_lib.networks.files import GENRE_MUSICGEN

PLACES = {r"^audio_encoder\.": "backbone.audio_encoder.", r"^decoder\.model\.decoder\.": "backbone.decoder."}
"""Where the weights of a MusicGen that generates go here, as regular expressions of their names."""


class GenreMusicgenConfig(PreTrainedConfig):
    """The codec, the decoder as far as it is kept, and which of its layers are listened to.

    Args:
        audio_encoder, decoder: an ``EncodecConfig`` and a ``MusicgenDecoderConfig``, or what ``to_dict`` makes of them.
        layers: numbers of the layers whose outputs are pooled, from 1; none: the middle one. The decoder ends with the
            highest.
        label_smoothing: of the loss that ``labels`` give.
    """

    model_type = GENRE_MUSICGEN
    sub_configs_defaults = {  # noqa: RUF012
        "audio_encoder": SubConfigSpec(EncodecConfig),
        "decoder": SubConfigSpec(MusicgenDecoderConfig),
    }

    audio_encoder: Any = None
    decoder: Any = None
    layers: list[int] | tuple[int, ...] = ()
    label_smoothing: float = 0.0

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        depth = self.decoder.num_hidden_layers
        self.layers = sorted(self.layers) or [max(depth // 2, 1)]
        if self.layers[0] < 1 or self.layers[-1] > depth:
            raise ValueError(f"layers are numbers from 1 to {depth}, and are {self.layers}")
        self.decoder.num_hidden_layers = self.layers[-1]

    @property
    def hidden_size(self) -> int:
        """Numbers that a layer's output has."""
        return int(self.decoder.hidden_size)


class GenreMusicgenPreTrainedModel(PreTrainedModel):
    """What the model and the classifier share."""

    config_class = GenreMusicgenConfig
    base_model_prefix = "backbone"
    main_input_name = "input_values"
    _supports_sdpa = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, GenreMusicgenForAudioClassification):
            init.zeros_(module.layer_weights)
        elif isinstance(module, nn.Linear):
            init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                init.zeros_(module.bias)


class GenreMusicgenModel(GenreMusicgenPreTrainedModel):
    """The part that rests: waveforms at the codec's rate [clips, 1, samples] → layers' means [clips, layers, dim]."""

    def __init__(self, config: GenreMusicgenConfig) -> None:
        super().__init__(config)
        codec: Any = EncodecModel(config.audio_encoder)
        codec.decoder = None  # what makes sound of codes
        decoder: Any = MusicgenDecoder(config.decoder)
        decoder.layer_norm = nn.Identity()  # it belongs to the last of all layers, and not to this one
        for layer in decoder.layers:
            layer.encoder_attn = layer.encoder_attn_layer_norm = None
        self.audio_encoder, self.decoder = codec, decoder
        self.requires_grad_(False)
        self.post_init()

    def train(self, mode: bool = True) -> GenreMusicgenModel:
        """Stay in evaluation mode, without dropout: nothing in here learns."""
        return super().train(False)

    @torch.no_grad()
    def forward(
        self,
        input_values: torch.Tensor,
        padding_mask: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **_: Any,
    ) -> BaseModelOutputWithPooling | tuple:
        """The last layer's output [clips, steps, dim], and each layer's mean over the steps [clips, layers, dim].

        Args:
            padding_mask: [clips, samples], 0 after the end of clips that are shorter than the longest.
        """
        codes, frames = self.codes(input_values, padding_mask)
        read = self.decoder(self.delayed(codes).flatten(0, 1), use_cache=False, output_hidden_states=self.config.layers)
        heard = torch.stack([read.hidden_states[layer] for layer in self.config.layers], dim=1)
        # The first step knows nothing of the music, and ones beyond the last codebook's last frame are padding.
        step = torch.arange(heard.shape[2], device=heard.device)
        counts = ((step > 0) & (step < (frames + self.config.decoder.num_codebooks)[:, None]))[:, None, :, None]
        means = (heard * counts).sum(2) / counts.sum(2)
        output = BaseModelOutputWithPooling(last_hidden_state=read.last_hidden_state, pooler_output=means)
        return output.to_tuple() if return_dict is False else output

    def codes(self, input_values: torch.Tensor, padding_mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """The codec's codes [clips, codebooks, frames], ``pad_token_id`` after a clip's end, and its frames [clips]."""
        config = self.config.decoder
        codes = self.audio_encoder.encode(input_values, padding_mask).audio_codes[0]
        if codes.shape[1] < config.num_codebooks:  # a stereo decoder is told the same on both sides
            codes = codes.repeat_interleave(config.audio_channels, dim=1)
        if padding_mask is None:
            return codes, torch.full((len(codes),), codes.shape[-1], device=codes.device)
        frames = (padding_mask.sum(-1) / self.config.audio_encoder.hop_length).ceil().long()
        beyond = torch.arange(codes.shape[-1], device=codes.device) >= frames[:, None]
        return codes.masked_fill(beyond[:, None], config.pad_token_id), frames

    def delayed(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes [clips, codebooks, frames] as MusicGen reads them [clips, codebooks, frames + codebooks].

        A step without a code comes first; then each codebook begins a step later than the one before, with the two of
        a stereo pair together. It is what ``MusicgenForCausalLM.build_delay_pattern_mask`` makes of a whole prompt.
        """
        config = self.config.decoder
        clips, books, frames = codes.shape
        steps = codes.new_full((clips, books, frames + books // config.audio_channels), config.pad_token_id)
        for book in range(books):
            begin = 1 + book // config.audio_channels
            steps[:, book, begin : begin + frames] = codes[:, book]
        return steps


class GenreMusicgenForAudioClassification(GenreMusicgenPreTrainedModel):
    """:class:`GenreMusicgenModel` under a head: its layers' means, on one scale, in learned shares, and a linear layer.

    A hidden state's numbers differ by orders of magnitude, and a few are large for every sound. So each is brought to
    mean 0 and variance 1 over the clips, as probes do (Castellon et al. 2021; He et al. 2022, arXiv:2111.06377, by the
    same batch norm without weights).
    """

    def __init__(self, config: GenreMusicgenConfig) -> None:
        super().__init__(config)
        self.backbone = GenreMusicgenModel(config)
        self.norm = nn.BatchNorm1d(len(config.layers) * config.hidden_size, affine=False)
        self.layer_weights = nn.Parameter(torch.zeros(len(config.layers)))
        self.classifier = nn.Linear(config.hidden_size, config.num_labels or 0)
        self.post_init()

    def forward(
        self,
        input_values: torch.Tensor,
        padding_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **_: Any,
    ) -> SequenceClassifierOutput | tuple:
        """Logits, and the cross entropy where ``labels`` [batch] (ids) or [batch, genres] (probabilities) are given."""
        logits = self.classify(self.embed(input_values, padding_mask))
        loss = None
        if labels is not None:
            loss = functional.cross_entropy(logits.float(), labels, label_smoothing=self.config.label_smoothing)
        output = SequenceClassifierOutput(loss=loss, logits=logits)
        return output.to_tuple() if return_dict is False else output

    def embed(self, input_values: torch.Tensor, padding_mask: torch.Tensor | None = None, **_: Any) -> torch.Tensor:
        """What the head is given, which training does not change: [clips, layers, dim]."""
        return self.backbone(input_values, padding_mask).pooler_output

    def classify(self, embeddings: torch.Tensor) -> torch.Tensor:
        """The head's answer to what :meth:`embed` gives: [clips, layers, dim] → logits [clips, genres]."""
        return self.classifier(self.last_inputs(embeddings))

    def last_inputs(self, embeddings: torch.Tensor) -> torch.Tensor:
        """The layers together, as the last linear layer is given them: [clips, layers, dim] → [clips, dim]."""
        normal = self.norm(embeddings.flatten(1)).view_as(embeddings)
        return torch.einsum("cld,l->cd", normal, self.layer_weights.softmax(0))


def from_musicgen(
    folder: Path | str, layers: Sequence[int] = ()
) -> tuple[GenreMusicgenForAudioClassification, EncodecFeatureExtractor]:
    """The listener in a folder of a MusicGen that generates, with a fresh head, and its feature extractor.

    Of the folder's weights only those that are kept are read.

    Args:
        layers: as in :class:`GenreMusicgenConfig`.

    Raises:
        ValueError: the folder holds another kind of model, or lacks weights.
    """
    whole: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
    if whole.model_type != MusicgenConfig.model_type:
        raise ValueError(f"it should hold a MusicGen, and holds a {whole.model_type}")
    config = GenreMusicgenConfig(
        audio_encoder=whole.audio_encoder.to_dict(),
        decoder=whole.decoder.to_dict(),
        layers=list(layers),
    )
    loaded: Any = GenreMusicgenForAudioClassification.from_pretrained(
        folder, config=config, key_mapping=PLACES, use_safetensors=True, output_loading_info=True, local_files_only=True
    )
    network, report = loaded
    network._weight_conversions = None  # or it would be saved by the names that it had there
    lacking = sorted(name for name in report["missing_keys"] if name.startswith("backbone."))
    if lacking:
        raise ValueError(f"the weights lack {', '.join(lacking[:3])}")
    return network, EncodecFeatureExtractor(sampling_rate=config.audio_encoder.sampling_rate)
