"""The worker's models: as many as a limit in bytes allows, and the promoted one exchanged while all goes on."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from genre_lib import registry
from genre_lib.errors import GenreLibError, ModelError, NoActiveModel
from genre_lib.inference import Predictor
from genre_lib.service import metrics
from genre_lib.settings import Settings
from genre_lib.weights import bytes_of_tensors

logger = logging.getLogger(__name__)

CACHE = "models"
"""What the metrics call it."""

NONE_BEFORE = (
    "Until another is activated, as by POST /models/NAME/activate, only requests that name a model are answered."
)
"""Said where no model was served before the broken one."""

RETRY_SECONDS = 10.0
"""A model that could not be loaded is not tried again for so long, unless its files change."""

Stamp = tuple[tuple[str, int, int], ...]
Key = tuple[Path, Stamp]
Loader = Callable[[Path], Predictor]


@dataclass(frozen=True)
class Kept:
    """A model in memory."""

    predictor: Predictor
    size: int
    """Bytes of its parameters and buffers, and of its engine."""


@dataclass(frozen=True)
class Failed:
    """A model that could not be loaded, and until when that is taken for granted."""

    error: Exception
    until: float


def stamp(folder: Path) -> Stamp:
    """What changes when a model folder is replaced or written anew: its files' names, inodes and times."""
    found: list[tuple[str, int, int]] = []
    for file in sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")]):
        with suppress(FileNotFoundError):  # it is being deleted
            status = file.stat()
            found.append((file.name, status.st_ino, status.st_mtime_ns))
    return tuple(found)


def without_place(sentence: str, folder: Path) -> str:
    """A sentence that names a model, and not where it lies: for clients."""
    return sentence.replace(str(folder), folder.name)


def bytes_of(predictor: Predictor) -> int:
    """Bytes that the network's parameters and buffers take, and its engine; what two share is counted once."""
    network = predictor.network
    storages = [tensor.untyped_storage() for tensor in (*network.parameters(), *network.buffers())]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values()) + predictor.engine.size


class ModelCache:
    """Predictors by folder; beyond ``settings.model_cache_bytes`` the least recently used is forgotten, never the
    active one. One that alone is larger is loaded for each batch that asks for it.

    ``active`` is read by the worker's loop and set by the watching thread: assigning it is the exchange, so a batch
    that has begun ends with the model it began with.
    """

    def __init__(self, settings: Settings, load: Loader) -> None:
        self.settings = settings
        self.load = load
        self.active: Predictor | None = None
        self.error: str | None = None
        self._active_key: Key | None = None
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._loading: dict[Key, Future[Predictor]] = {}
        self._failed: dict[Key, Failed] = {}
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes of all the models that are kept."""
        with self._lock:
            return sum(kept.size for kept in self._kept.values())

    def start(self) -> None:
        """Load the active model.

        Raises:
            ModelNotFound, ModelInvalid: there is nothing to begin with.
        """
        folder = registry.active(self.settings)
        self._exchange((folder, stamp(folder)))

    def named(self, name: str | None) -> Predictor:
        """The predictor of a model by name, or the active one where no name is given.

        Raises:
            ModelNotFound, ModelInvalid: no such model, or one that cannot be loaded.
            NoActiveModel: no name is given, and the active one cannot be loaded. The starter does not stand in for it:
                it would answer with other genres than asked for, and nobody would notice.
        """
        if name is None:
            if self.active is None:
                raise NoActiveModel(self.error or NONE_BEFORE)
            return self.active
        folder = registry.by_name(name, self.settings)
        try:
            return self._get((folder, stamp(folder)))
        except ModelError as error:
            raise type(error)(without_place(str(error), folder)) from None

    def follow(self) -> None:
        """Load what was promoted meanwhile, and exchange it. If that fails the old one goes on, or none where there was
        none; ``error`` says why.

        Models whose folders are gone or were replaced are forgotten, too.
        """
        self._forget_gone()
        try:
            folder = registry.active(self.settings)
            key = (folder, stamp(folder))
        except (GenreLibError, OSError) as error:
            self._report("The active model", error, self.settings.model_path)
            return
        if key == self._active_key:
            self.error = None
            return
        try:
            self._exchange(key)
        except Exception as error:  # whatever a broken folder raises, what can be served is
            self._report(folder.name, error, folder)

    def _report(self, name: str, error: Exception, folder: Path) -> None:
        reason = str(error) if isinstance(error, GenreLibError) else f"{error!r}."
        message = f"{name} cannot be served: {reason} {'The model before goes on.' if self.active else NONE_BEFORE}"
        told = without_place(message, folder)  # GET /health answers with it, and the log may say where
        if told != self.error:
            logger.error("%s", message)
        self.error = told

    def _exchange(self, key: Key) -> None:
        predictor = self._get(key)
        self._active_key, self.active = key, predictor
        self._keep(key, predictor)  # anew, now that the one before may be forgotten
        self.error = None
        logger.info("serving %s (%s)", predictor.model.name, predictor.model.version)

    # --- loading

    def _get(self, key: Key) -> Predictor:
        """From memory, or loaded; of several that want the same absent model, one loads it and the others wait."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                metrics.cache_hit(CACHE)
                return self._kept[key].predictor
            self._raise_if_failed(key)
            future = self._loading.get(key)
            mine = future is None
            if future is None:
                future = self._loading[key] = Future()
        if mine:
            metrics.cache_miss(CACHE)
            self._load(key, future)
        return future.result()

    def _raise_if_failed(self, key: Key) -> None:
        failed = self._failed.get(key)
        if failed is None:
            return
        if time.monotonic() < failed.until:
            raise failed.error.with_traceback(None)
        del self._failed[key]

    def _load(self, key: Key, future: Future[Predictor]) -> None:
        """Outside of the lock: it takes seconds, in which others are served."""
        try:
            self._make_room(bytes_of_tensors(key[0]))
            predictor = self.load(key[0])
            self._keep(key, predictor)
        except Exception as error:
            error.__traceback__ = error.__cause__ = error.__context__ = None  # their frames hold half a model
            with self._lock:
                self._failed = {key: Failed(error, time.monotonic() + RETRY_SECONDS)} | self._recent(self._failed)
                del self._loading[key]
            future.set_exception(error)
        else:
            with self._lock:
                del self._loading[key]
            future.set_result(predictor)

    @staticmethod
    def _recent(failed: dict[Key, Failed]) -> dict[Key, Failed]:
        now = time.monotonic()
        return {key: found for key, found in failed.items() if now < found.until}

    # --- keeping and forgetting

    def _keep(self, key: Key, predictor: Predictor) -> None:
        """Keep it, unless it would drive out all others and find no room even so."""
        kept, limit = Kept(predictor, bytes_of(predictor)), self.settings.model_cache_bytes
        with self._lock:
            self._forget(old for old in self._kept if old[0] == key[0] and old not in (key, self._active_key))
            if key == self._active_key or kept.size + self._active_size() <= limit:
                self._kept[key] = kept
                self._forget_beyond(limit)

    def _make_room(self, wanted: int) -> None:
        """Forget before loading, so that the limit holds meanwhile, too; but not for what will not be kept anyway."""
        with self._lock:
            limit = self.settings.model_cache_bytes - wanted
            if limit >= self._active_size():
                self._forget_beyond(limit)

    def _active_size(self) -> int:
        active = self._kept.get(self._active_key) if self._active_key else None
        return active.size if active else 0

    def _forget_beyond(self, limit: int) -> None:
        used = sum(kept.size for kept in self._kept.values())
        for old in [old for old in self._kept if old != self._active_key]:
            if used <= limit:
                return
            used -= self._kept[old].size
            self._forget([old])

    def _forget_gone(self) -> None:
        with self._lock:
            known = list(self._kept)
        gone = [key for key in known if key != self._active_key and stamp(key[0]) != key[1]]
        with self._lock:
            self._forget(key for key in gone if key != self._active_key)

    def _forget(self, keys: Iterable[Key]) -> None:
        for key in list(keys):
            if self._kept.pop(key, None):
                logger.info("forgot %s", key[0].name)
