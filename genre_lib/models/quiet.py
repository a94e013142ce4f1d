"""Transformers' progress bars and notices, kept off the terminal."""

from __future__ import annotations

from transformers.utils import logging as hf_logging


class QuietTransformers:
    """Within it transformers says nothing but errors, for example while a folder is read or written."""

    def __enter__(self) -> None:
        self.verbosity, self.bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
        hf_logging.set_verbosity_error()
        hf_logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        hf_logging.set_verbosity(self.verbosity)
        if self.bars:
            hf_logging.enable_progress_bar()
