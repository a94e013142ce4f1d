"""From a model's folder to a predictor that serves it, by the engine that the settings name."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from genre_lib.engines.making import require_installed
from genre_lib.engines.names import FLOAT32
from genre_lib.errors import EngineUnavailable
from genre_lib.inference import Predictor, load_model
from genre_lib.networks.folder import resolve_device
from genre_lib.settings import Settings

logger = logging.getLogger(__name__)


class Loader:
    """Loads models. One that the engine cannot compute is served by float32 all the same, and says why.

    Raises:
        ConfigurationError: there is no such device, or the engine's library is not installed: nothing could be served
            as it was asked for.
    """

    def __init__(self, settings: Settings) -> None:
        require_installed(settings.engine)
        self.engine = settings.engine
        self.options: dict[str, Any] = {
            "device": resolve_device(settings.device),
            "cache_path": settings.cache_path,
        }

    def __call__(self, folder: Path) -> Predictor:
        """A predictor of the model in a folder.

        Raises:
            ModelNotFound, ModelInvalid.
        """
        model = load_model(folder)
        try:
            return Predictor(model, engine=self.engine, **self.options)
        except EngineUnavailable as error:
            logger.warning("%s is served by %s: %s", model.name, FLOAT32, error)
            predictor = Predictor(model, engine=FLOAT32, **self.options)
            predictor.engine_fault = str(error)
            return predictor
