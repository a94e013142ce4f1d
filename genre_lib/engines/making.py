"""From an engine's name to the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import torch

from genre_lib.engines.compiled import CompiledCache, key_of
from genre_lib.engines.engine import Engine, Inputs
from genre_lib.engines.machine import has_bf16
from genre_lib.engines.names import (
    AUTO,
    BF16,
    ENGINES,
    EXACT,
    FLOAT32,
    OPENVINO,
    OPENVINO_BF16,
    OPENVINO_INT8,
    REPORT,
    among,
    require_engine,
)
from genre_lib.engines.openvino_library import is_installed
from genre_lib.engines.torch_engine import DTYPES, TorchEngine
from genre_lib.errors import EngineUnavailable
from genre_lib.networks.folder import LoadedModel

logger = logging.getLogger(__name__)


class EngineMaker:
    """Makes engines of a model.

    Args:
        model: its network is in float32, on the device.
        example: gives what the network takes of a clip or two.
        cache_path: where compiled networks are kept; that of the settings where None.
    """

    def __init__(
        self, model: LoadedModel, device: str, example: Callable[[], Inputs], cache_path: Path | None = None
    ) -> None:
        self.model, self.device, self.example = model, device, example
        self._cache_path = cache_path

    def chosen(self, choice: str, clips: int | None = None) -> tuple[Engine, str | None]:
        """The engine that ``choice`` means: by its own name, or the fastest that was measured to say what float32 says.

        Args:
            choice: one of :data:`genre_lib.engines.names.CHOICES`.
            clips: how many there are to hear; None for no end.

        Returns:
            The engine, and why it is not the one that was measured to be the fastest, or None.

        Raises:
            ConfigurationError: there is no such choice.
            EngineUnavailable: it cannot be made, and it was asked for by name.
        """
        if require_engine(choice) in ENGINES:
            return self.make(choice), None
        faults: list[str] = []
        for name in self.ranked(choice, clips):
            try:
                return self.make(name), " ".join(faults) or None
            except EngineUnavailable as error:
                logger.warning("%s", error)
                faults.append(str(error))
        return self.make(EXACT[choice]), " ".join(faults) or None

    def ranked(self, choice: str, clips: int | None = None) -> list[str]:
        """The engines that were measured to do, the fastest first; none where nothing was measured here."""
        folder = self.model.folder
        if folder is None or not (folder / REPORT).is_file():
            if choice == AUTO and folder is not None:
                logger.info("%s is computed by %s; %s", self.model.name, FLOAT32, how_to_tune(self.model.name))
            return []
        from genre_lib.engines import report  # pydantic's models take their time, and most folders have no report

        found = report.read(folder, self.model.version, self.device)
        return found.ranked(choice, clips) if found else []

    def make(self, name: str) -> Engine:
        """An engine by its own name.

        Raises:
            EngineUnavailable: this machine, or this model, cannot have it.
        """
        if name not in among(AUTO, self.device):
            raise EngineUnavailable(f"{name} does not compute on {self.device}; choose {self._to_choose_from()}.")
        if name in DTYPES:
            return self._by_torch(name)
        from genre_lib.engines import openvino_engine

        return openvino_engine.make(name, self.model, self.example, self.cache)

    @property
    def there(self) -> tuple[str, ...]:
        """Names of the engines that the device has."""
        return among(AUTO, self.device)

    @property
    def cache(self) -> CompiledCache:
        """Of compiled networks."""
        if self._cache_path is None:
            from genre_lib.settings import get_settings

            self._cache_path = get_settings().cache_path
        return CompiledCache(self._cache_path)

    def _to_choose_from(self) -> str:
        """The engines that can be had here, in half a sentence; the quantised one is there after a tuning only."""
        names = [name for name in self.there if self._can(name)]
        is_tuned = self.cache.get(key_of(self.model.version, OPENVINO_INT8)) is not None
        told = ", ".join(name for name in names if is_tuned or name != OPENVINO_INT8)
        if is_tuned or OPENVINO_INT8 not in names:
            return told
        return f"{told}; or {OPENVINO_INT8} after `genre models tune {self.model.name} --data-path MUSIC`"

    def _can(self, name: str) -> bool:
        """Whether the processor and the libraries here are made for it."""
        if name in (BF16, OPENVINO_BF16) and not has_bf16(self.device):
            return False
        return name in DTYPES or is_installed()

    def _by_torch(self, name: str) -> Engine:
        if name == BF16 and not has_bf16(self.device):
            raise EngineUnavailable(f"{name} needs a processor with bfloat16, and {self.device} here has none.")
        engine = TorchEngine(self.model.network, self.device, name)
        if name != FLOAT32:
            self._try(engine)
        return engine

    def _try(self, engine: Engine) -> None:
        try:
            logits = engine(self.example())
        except (RuntimeError, TypeError) as error:
            raise EngineUnavailable(f"{engine.name} cannot compute {self.model.name}: {error}.") from error
        if not torch.isfinite(logits).all():
            raise EngineUnavailable(f"{engine.name} computes no finite numbers of {self.model.name}.")


def require_installed(choice: str) -> None:
    """Refuse an engine whose library is absent, before a model is there.

    Raises:
        ConfigurationError, EngineUnavailable.
    """
    if require_engine(choice).startswith(OPENVINO):
        from genre_lib.engines.openvino_library import require_openvino

        require_openvino()


def how_to_tune(name: str) -> str:
    """How to find a faster engine, in half a sentence."""
    return f"`genre models tune {name} --data-path MUSIC` finds out whether another engine is faster here."
