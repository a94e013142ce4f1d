"""The requests of several clients, answered in one pass through the network.

One bad upload must not fail its batch, so an error is an answer like any other, and nothing here raises for a single
request. Decoding happens in this process, too: what a hostile file can bring down is the worker, which is started
again, and not the process that holds the port.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from genre_lib import audio
from genre_lib.errors import FeaturesRefused
from genre_lib.inference import Predictor
from genre_lib.service import metrics
from genre_lib.service.decoding import Decoded, Decoder
from genre_lib.service.messages import Answer, PredictRequest, refusal
from genre_lib.service.model_cache import ModelCache
from genre_lib.service.prediction_cache import Heard, PredictionCache, fingerprint
from genre_lib.service.status import WorkerStatus

SECONDS_A_PASS = 1200.0
"""Audio that is held at once, about 100 MB; a longer batch goes through the network in parts."""

Numbered = dict[int, PredictRequest]
"""Requests by their place in the batch."""
CACHE = "predictions"
"""What the metrics call the cache."""


@dataclass(frozen=True)
class Outcome:
    """What the network said of a track, or why it said nothing."""

    heard: Heard | BaseException
    batch_size: int = 0
    """Tracks in the pass."""


class BatchPredictor:
    """Answers lists of requests; ``status`` counts the passes and the tracks in them."""

    def __init__(
        self, models: ModelCache, limits: audio.Limits, status: WorkerStatus, cache: PredictionCache | None = None
    ) -> None:
        self.models = models
        self.decoder = Decoder(limits)
        self.status = status
        self.cache = cache or PredictionCache(0)

    def ahead(self, request: PredictRequest) -> None:
        """Begin to decode a track that will be in one of the next batches. Any thread may call this.

        It is a guess that only costs time where it is wrong: a track for another model may be wanted at another rate.
        """
        predictor = self.models.active
        if predictor is None or request.model_name not in (None, predictor.model.name):
            return
        if (request.content, fingerprint(predictor)) not in self.cache:
            self.decoder.ahead(request, predictor.model.sample_rate)

    def answers(self, requests: list[PredictRequest]) -> list[Answer]:
        """An answer for every request, in their order; requests for one model share their passes."""
        try:
            return self.answer_groups(requests)
        finally:
            self.decoder.forget(requests)

    def answer_groups(self, requests: list[PredictRequest]) -> list[Answer]:
        """:meth:`answers`, model by model."""
        found: dict[int, Answer] = {}
        for name in dict.fromkeys(request.model_name for request in requests):
            found |= self.answer_group(name, {i: r for i, r in enumerate(requests) if r.model_name == name})
        return [found[i] for i in range(len(requests))]

    def answer_group(self, name: str | None, group: Numbered) -> dict[int, Answer]:
        """Answers to requests for the same model; the same content is predicted once."""
        try:
            predictor = self.models.named(name)
            model = fingerprint(predictor)
        except Exception as error:
            return {i: refusal(error) for i in group}
        refused = {i: refusal(why) for i, request in group.items() if (why := misfit(predictor, request))}
        group = {i: request for i, request in group.items() if i not in refused}
        kept = {i: heard for i, request in group.items() if (heard := self.cache.get((request.content, model)))}
        found = {i: hit(predictor, group[i], heard) for i, heard in kept.items()}
        missed = {i: request for i, request in group.items() if i not in kept}
        wanted = firsts(missed)
        for first, outcome in self.heard(predictor, wanted):
            if isinstance(outcome.heard, Heard) and missed[first].digest:
                self.cache.put((missed[first].content, model), outcome.heard)
            found |= self.shared(predictor, missed, first, outcome)
        count(hits=len(group) - len(wanted), misses=len(wanted))
        return found | refused

    def shared(self, predictor: Predictor, missed: Numbered, first: int, outcome: Outcome) -> dict[int, Answer]:
        """Answers to the first request and to the others with its content."""
        same = [i for i, request in missed.items() if request.content == missed[first].content]
        if isinstance(outcome.heard, BaseException):
            return {i: refusal(outcome.heard, missed[i], heard_at=missed[first].path) for i in same}
        answers = {i: hit(predictor, missed[i], outcome.heard) for i in same}
        answers[first] = told(predictor, missed[first], outcome.heard, {"X-Batch-Size": str(outcome.batch_size)})
        return answers

    def heard(self, predictor: Predictor, wanted: Numbered) -> Iterator[tuple[int, Outcome]]:
        """What became of each request, pass by pass."""
        for part in parts(self.decoder.tracks(wanted, predictor.model.sample_rate)):
            good = {i: decoded for i, decoded in part.items() if isinstance(decoded, audio.Audio)}
            yield from ((i, Outcome(error)) for i, error in part.items() if isinstance(error, BaseException))
            features = self.described(predictor, {i: wanted[i] for i in good})
            yield from ((i, Outcome(error)) for i, error in features.items() if isinstance(error, BaseException))
            good = {i: decoded for i, decoded in good.items() if not isinstance(features.get(i), BaseException)}
            yield from self.passed(predictor, good, features).items()

    def described(self, predictor: Predictor, wanted: Numbered) -> dict[int, Any]:
        """What the model wants to know of each track beside its sound, or an error.

        It is what came with the request, or else computed in the decoder's threads. Nothing for a model that hears the
        sound alone.
        """
        if predictor.beside.source is None:
            return {}
        limits = self.decoder.limits
        given = {i: request.features for i, request in wanted.items() if request.features is not None}
        begun = {
            i: self.decoder.threads.submit(predictor.beside.of_file, request.path, limits)
            for i, request in wanted.items()
            if i not in given
        }
        return given | {i: future.exception() or future.result() for i, future in begun.items()}

    def passed(
        self, predictor: Predictor, part: dict[int, audio.Audio], features: dict[int, Any]
    ) -> dict[int, Outcome]:
        """One pass; where it fails, one for each track, so that only the culprit is refused."""
        if not part:
            return {}
        begun = time.perf_counter()
        try:
            beside = {"features": [features.get(i) for i in part]} if features else {}
            logits = predictor.clip_logits([decoded.waveform for decoded in part.values()], **beside)
        except Exception as error:
            if len(part) == 1:
                return dict.fromkeys(part, Outcome(error))
            alone = [self.passed(predictor, {i: decoded}, features) for i, decoded in part.items()]
            return {i: outcome for outcomes in alone for i, outcome in outcomes.items()}
        self.status.count(len(part))
        metrics.observe_pass(predictor.model.name, len(part), time.perf_counter() - begun)
        return {
            i: Outcome(Heard.of(decoded, own), len(part))
            for (i, decoded), own in zip(part.items(), logits, strict=True)
        }


def misfit(predictor: Predictor, request: PredictRequest) -> FeaturesRefused | None:
    """Why the model cannot be asked like this."""
    if request.features is None or predictor.beside.source is not None:
        return None
    return FeaturesRefused(
        f"{predictor.model.name} goes by the sound alone; leave features out, or name another model."
    )


def count(hits: int, misses: int) -> None:
    """Say how often the cache served; what came twice in a batch was served by it, too."""
    for _ in range(hits):
        metrics.cache_hit(CACHE)
    for _ in range(misses):
        metrics.cache_miss(CACHE)


def firsts(group: Numbered) -> Numbered:
    """The first request of each content."""
    found: dict[str, int] = {}
    for i, request in group.items():
        found.setdefault(request.content, i)
    return {i: group[i] for i in found.values()}


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


def told(predictor: Predictor, request: PredictRequest, heard: Heard, headers: dict[str, str]) -> Answer:
    """A 200."""
    row = heard.prediction(predictor, request.timeline).to_json(request.top_k)
    said = {"model_name": predictor.model.name, "model_version": predictor.model.version, "duration": row["duration"]}
    said |= {name: row[name] for name in ("predictions", "outside") if name in row}
    if request.timeline:
        said["timeline"] = row["timeline"]
    if warning := heard.warning(request.filename) or predictor.beside.ignorance(request.features):
        said["warning"] = warning
    return Answer(200, said, headers)


def hit(predictor: Predictor, request: PredictRequest, heard: Heard) -> Answer:
    """A 200 without a pass."""
    return told(predictor, request, heard, {"X-Cache": "hit"})
