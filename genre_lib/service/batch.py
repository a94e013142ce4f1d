"""The requests of several clients, answered in one pass through the network.

One bad upload must not fail its batch, so an error is an answer like any other, and nothing here raises for a single
request. Decoding happens here too, in threads beside each other: FFmpeg lets go of the interpreter's lock, and what a
hostile file can bring down is the worker, which is started again, and not the process that holds the port.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from genre_lib import audio
from genre_lib.errors import GenreLibError
from genre_lib.inference import Predictor, TrackPrediction
from genre_lib.models.folder import GenreModel
from genre_lib.service.errors import INTERNAL, body, status_of
from genre_lib.service.messages import Answer, PredictRequest
from genre_lib.service.model_cache import ModelCache
from genre_lib.service.status import WorkerStatus

logger = logging.getLogger(__name__)

SECONDS_A_PASS = 1200.0
"""Audio that is held at once, about 100 MB; a longer batch goes through the network in parts."""

Numbered = dict[int, PredictRequest]
"""Requests by their place in the batch."""
Decoded = audio.Audio | BaseException
"""A track, or why there is none."""


class BatchPredictor:
    """Answers lists of requests; ``status`` counts the passes and the tracks in them."""

    def __init__(self, models: ModelCache, limits: audio.Limits, status: WorkerStatus) -> None:
        self.models = models
        self.limits = limits
        self.status = status
        self.workers = os.cpu_count() or 1
        self.threads = ThreadPoolExecutor(self.workers, thread_name_prefix="decode")

    def answers(self, requests: list[PredictRequest]) -> list[Answer]:
        """An answer for every request, in their order; requests for one model share their passes."""
        found: dict[int, Answer] = {}
        for name in dict.fromkeys(request.model_name for request in requests):
            found |= self.answer_group(name, {i: r for i, r in enumerate(requests) if r.model_name == name})
        return [found[i] for i in range(len(requests))]

    def answer_group(self, name: str | None, group: Numbered) -> dict[int, Answer]:
        """Answers to requests for the same model."""
        try:
            predictor = self.models.named(name)
        except Exception as error:
            return {i: refusal(error) for i in group}
        found: dict[int, Answer] = {}
        for part in parts(self.decoded(group, predictor.model.sample_rate)):
            good = {i: decoded for i, decoded in part.items() if isinstance(decoded, audio.Audio)}
            bad = {i: decoded for i, decoded in part.items() if isinstance(decoded, BaseException)}
            found |= {i: refusal(error, group[i]) for i, error in bad.items()}
            found |= self.answer_part(predictor, {i: group[i] for i in good}, good)
        return found

    def decoded(self, group: Numbered, sample_rate: int) -> Iterator[tuple[int, Decoded]]:
        """What became of each upload; as many are decoded at once as there are cores, and no more are held ahead."""
        waiting = deque(group.items())
        ahead: deque[tuple[int, Future[audio.Audio]]] = deque()
        while waiting or ahead:
            while waiting and len(ahead) <= self.workers:
                i, request = waiting.popleft()
                ahead.append((i, self.threads.submit(self.decode, request, sample_rate)))
            i, future = ahead.popleft()
            yield i, future.exception() or future.result()

    def decode(self, request: PredictRequest, sample_rate: int) -> audio.Audio:
        """The upload; what is shorter than it claims is heard as far as it goes."""
        return audio.load(request.path, sample_rate, limits=self.limits, on_truncated="ignore")

    def answer_part(self, predictor: Predictor, part: Numbered, heard: dict[int, audio.Audio]) -> dict[int, Answer]:
        """One pass; where it fails, one for each request, so that only the culprit is refused."""
        if not part:
            return {}
        timeline = any(request.timeline for request in part.values())
        try:
            tracks = predictor.waveforms([heard[i].waveform for i in part], timeline=timeline)
        except Exception as error:
            if len(part) == 1:
                return {i: refusal(error, request) for i, request in part.items()}
            alone = [self.answer_part(predictor, {i: part[i]}, heard) for i in part]
            return {i: answer for answers in alone for i, answer in answers.items()}
        self.status.count(len(tracks))
        headers = {"X-Batch-Size": str(len(tracks))}
        contents = (content(predictor.model, part[i], track, heard[i]) for i, track in zip(part, tracks, strict=True))
        return {i: Answer(200, told, headers) for i, told in zip(part, contents, strict=True)}


def parts(decoded: Iterable[tuple[int, Decoded]]) -> Iterator[dict[int, Decoded]]:
    """Gather what was decoded until it is :data:`SECONDS_A_PASS` long."""
    part: dict[int, Decoded] = {}
    seconds = 0.0
    for i, one in decoded:
        part[i] = one
        seconds += one.duration if isinstance(one, audio.Audio) else 0.0
        if seconds >= SECONDS_A_PASS:
            yield part
            part, seconds = {}, 0.0
    if part:
        yield part


def content(model: GenreModel, request: PredictRequest, track: TrackPrediction, heard: audio.Audio) -> dict[str, Any]:
    """The body of a 200."""
    row = track.to_json(request.top_k)
    told = {"model_name": model.name, "model_version": model.version, "duration": row["duration"]}
    told["predictions"] = row["predictions"]
    if request.timeline:
        told["timeline"] = row["timeline"]
    if heard.warning:
        told["warning"] = heard.warning.replace(request.path, request.filename)
    return told


def refusal(error: BaseException, request: PredictRequest | None = None) -> Answer:
    """The error as an answer; where the upload lies on our disk is told to nobody."""
    if not isinstance(error, GenreLibError):
        logger.error("a request failed", exc_info=error)
        return Answer(500, body(INTERNAL, "internal_server_error"))
    detail = str(error).replace(request.path, request.filename) if request else str(error)
    return Answer(status_of(error), body(detail, error.code))
