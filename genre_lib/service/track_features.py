"""Features of a track as a request brings them: an object by Spotify's names, in a form as its JSON text."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from genre_lib.networks.fusion_features import FEATURES


def parsed(given: Any) -> Any:
    """What a form's text holds; JSON comes parsed."""
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except ValueError:
        raise ValueError('should be a JSON object such as {"tempo": 120, "energy": 0.8}') from None


def named(given: dict[str, float | None]) -> dict[str, float | None]:
    unknown = [name for name in given if name not in FEATURES]
    if unknown:
        raise ValueError(f"there is no feature {unknown[0][:60]!r}; there are {', '.join(FEATURES)}")
    return given


TrackFeatures = Annotated[
    dict[str, float | None],
    BeforeValidator(parsed, json_schema_input_type=dict[str, float | None]),
    AfterValidator(named),
    Field(
        description="Features of the track by the names of Spotify's audio features, for a model that learned by them. "
        "Any may be left out or null. Without this a model of our descriptors computes them.",
        examples=[{"tempo": 120.0, "energy": 0.8, "key": 9, "mode": 0}],
    ),
]
