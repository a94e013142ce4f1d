"""The worker's models: a few kept in memory, and the promoted one exchanged while the service goes on."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from genre_lib import registry
from genre_lib.errors import GenreLibError
from genre_lib.inference import Predictor
from genre_lib.settings import Settings

logger = logging.getLogger(__name__)

Stamp = tuple[tuple[str, int, int], ...]
Key = tuple[Path, Stamp]
Loader = Callable[[Path], Predictor]


def stamp(folder: Path) -> Stamp:
    """What changes when a model folder is replaced or written anew: its files' names, inodes and times."""
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")])
    return tuple((file.name, file.stat().st_ino, file.stat().st_mtime_ns) for file in files)


class ModelCache:
    """Predictors by folder; beyond ``size`` the least recently used is forgotten, never the active one.

    ``active`` is read by the worker's loop and set by the watching thread: assigning it is the exchange, so a batch
    that has begun ends with the model it began with.
    """

    def __init__(self, settings: Settings, load: Loader) -> None:
        self.settings = settings
        self.load = load
        self.active: Predictor | None = None
        self.error: str | None = None
        self._active_key: Key | None = None
        self._failed_key: Key | None = None
        self._kept: OrderedDict[Key, Predictor] = OrderedDict()
        self._lock = threading.Lock()

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
        """
        if name is None:
            assert self.active is not None, "start() comes first"
            return self.active
        folder = registry.by_name(name, self.settings)
        return self._get((folder, stamp(folder)))

    def follow(self) -> None:
        """Load what was promoted meanwhile, and exchange it. If that fails the old one goes on; ``error`` says why."""
        try:
            folder = registry.active(self.settings)
            key = (folder, stamp(folder))
        except (GenreLibError, OSError) as error:
            self._fail(None, error)
            return
        if key == self._active_key:
            self.error = self._failed_key = None
        elif key != self._failed_key:
            self._try(key)

    def _try(self, key: Key) -> None:
        try:
            self._exchange(key)
        except Exception as error:  # whatever a broken folder raises, the old model goes on
            self._fail(key, error)

    def _fail(self, key: Key | None, error: Exception) -> None:
        message = f"{error} The model before goes on." if isinstance(error, GenreLibError) else f"{error!r}"
        if message != self.error:
            logger.error("the promoted model cannot be served: %s", message)
        self.error, self._failed_key = message, key

    def _exchange(self, key: Key) -> None:
        predictor = self._get(key)
        self._active_key, self.active = key, predictor
        self._keep(key, predictor)  # anew, now that the one before may be forgotten
        self.error = self._failed_key = None
        logger.info("serving %s (%s)", predictor.model.name, predictor.model.version)

    def _get(self, key: Key) -> Predictor:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        predictor = self.load(key[0])  # outside of the lock: seconds, in which others are served
        self._keep(key, predictor)
        return predictor

    def _keep(self, key: Key, predictor: Predictor) -> None:
        with self._lock:
            self._kept[key] = predictor
            for old in [old for old in self._kept if old != self._active_key]:
                if len(self._kept) > self.settings.model_cache_size:
                    del self._kept[old]
