"""The folder of models that cannot be written to: told as what it is, and before work is done for it in vain."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from genre_lib.errors import ReadOnly
from genre_lib.files import try_above
from genre_lib.settings import Settings

REFUSALS = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


@contextmanager
def changed() -> Iterator[None]:
    """A block that writes into ``settings.models_path`` and nowhere else.

    The message does not tell the place, for it goes to clients, too.

    Raises:
        ReadOnly: in place of the operating system's error, where it does not let us write there.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        raise ReadOnly(
            f"The folder of models, MODELS_PATH, cannot be written to ({os.strerror(error.errno).lower()}); mount it "
            "writable, or let the user that this runs as write there."
        ) from error


def require_writable(settings: Settings) -> None:
    """Refuse where no model could be put; nothing is left there.

    Raises:
        ReadOnly: it cannot be written to.
        OSError: there is no room.
    """
    with changed():
        try_above(settings.models_path / "model")
