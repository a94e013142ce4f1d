"""The folder that a training run writes to, opened by the one process of those that train together that writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from genre_lib.errors import ConfigurationError
from genre_lib.runs import Run
from genre_lib.settings import get_settings
from genre_lib.training_config import TrainingConfig


def open_run(config: TrainingConfig) -> Run:
    """The run's folder, new or given; other processes than the first get one that they only read."""
    if rank() != 0:
        return SilentRun(config.run_path or "unnamed-run")
    if config.run_path is None:
        name = config.name or (Path(config.output_path).name if config.output_path else "finetune")
        run = Run.create(get_settings().runs_path, name)
    else:
        run = Run(config.run_path)
        if run.events("run_started") and not config.resume:
            raise ConfigurationError(
                f"There is a run in {run.path} already; set resume to go on with it, or name another."
            )
        run.prepared()
    run.write_parameters(config.model_dump())
    return run


def rank() -> int:
    """Which of the processes that train together this is; the first writes the files."""
    return getattr(rank_zero_only, "rank", 0)


class SilentRun(Run):
    """The run as processes beside the first see it: nothing is written."""

    def event(self, kind: str, **fields: Any) -> None: ...

    def write_result(self, result: dict[str, Any]) -> None: ...
