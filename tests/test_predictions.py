"""The rows of a file that predictions are written to."""

from __future__ import annotations

import json

import numpy as np

from genre_lib.predictions import Prediction, Segment, TrackPrediction


def test_rows_for_json() -> None:
    predictions = [Prediction("rock", 0.75), Prediction("jazz", 0.25)]
    row = TrackPrediction("a.mp3", 3.0, predictions, logits=np.zeros(2)).to_json(top_k=1)
    assert json.loads(json.dumps(row)) == {
        "path": "a.mp3",
        "duration": 3.0,
        "predictions": [{"genre": "rock", "confidence": 0.75}],
        "error": None,
    }
    assert TrackPrediction("b.mp3", error="It is empty.", code="empty_audio").to_json() == {
        "path": "b.mp3",
        "duration": None,
        "predictions": [],
        "error": "It is empty.",
    }
    timeline = [Segment(0.0, 3.0, predictions)]
    assert TrackPrediction("c.mp3", 3.0, predictions, timeline=timeline).to_json(1)["timeline"] == [
        {"start": 0.0, "end": 3.0, "predictions": [{"genre": "rock", "confidence": 0.75}]}
    ]
