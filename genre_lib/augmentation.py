"""How strongly training changes what it hears: the settings alone, so that they can be checked without torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Augmentation(BaseModel):
    """How strongly each clip is changed; zero turns a change off."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    pitch_semitones: float = Field(0.0, ge=0, le=12, description="Largest shift of pitch, up or down, in semitones.")
    time_stretch: float = Field(0.0, ge=0, le=0.5, description="Largest change of tempo, as a share of it.")
    loop_share: float = Field(
        0.0, ge=0, le=1, description="Share of clips that a part of them, repeated, fills, as it does short tracks."
    )
    equalizer_db: float = Field(0.0, ge=0, le=24, description="Standard deviation of the equaliser's curve in dB.")
    equalizer_share: float = Field(0.7, ge=0, le=1, description="Share of clips that the equaliser changes.")
    noise: float = Field(0.0, ge=0, le=1, description="Standard deviation of noise added to log-mels, in theirs.")
    frequency_masks: int = Field(0, ge=0, le=8, description="Stripes of bands blanked in each clip (SpecAugment).")
    frequency_mask_bands: int = Field(12, ge=0, description="Largest width of such a stripe in bands.")
    time_masks: int = Field(0, ge=0, le=8, description="Stripes of frames blanked in each clip (SpecAugment).")
    time_mask_frames: int = Field(16, ge=0, description="Largest width of such a stripe in frames.")
