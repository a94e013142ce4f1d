"""The door to OpenVINO and NNCF, which are an extra: nothing else imports them.

Both tell their makers over the network that they are used, from the import on and unasked, by a package of its own. It
is kept out of this process; without it they tell nothing.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from genre_lib.errors import EngineUnavailable

INSTALL = 'install them by `pip install "genre_lib[openvino]"`, or choose torch-float32.'
TELLING = "openvino_telemetry"


def require_openvino() -> None:
    """Refuse where it is not installed, without importing it.

    Raises:
        EngineUnavailable: it says how to install it.
    """
    if absent := _absent():
        raise EngineUnavailable(f"The engine needs {' and '.join(absent)}, an extra; {INSTALL}")


def is_installed() -> bool:
    """Whether it is, without importing it."""
    return not _absent()


def _absent() -> list[str]:
    return [name for name in ("openvino", "nncf") if find_spec(name) is None]


def openvino() -> ModuleType:
    """The library.

    Raises:
        EngineUnavailable: it is not installed.
    """
    require_openvino()
    _silence()
    try:
        import openvino
    except ImportError as error:
        raise EngineUnavailable(f"OpenVINO is there and cannot be imported: {reason(error)}.") from error
    return openvino


def nncf() -> ModuleType:
    """The library that quantises.

    Raises:
        EngineUnavailable: it is not installed.
    """
    openvino()
    for talkative in ("nncf", "torch.utils.cpp_extension"):  # the latter misses a GPU when it is imported
        logging.getLogger(talkative).setLevel(logging.ERROR)
    with quiet():
        import nncf
    return nncf


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep off the terminal what is printed meanwhile: progress bars, and hints to people who wrote the network.

    OpenVINO sets the root logger up for itself, and where it fails leaves it so: then a service would log no more. Its
    tracer looks at whatever a network has, so that transformers has something to say of a loss that nobody wants.
    """
    root, transformers = logging.getLogger(), logging.getLogger("transformers")
    level, filters, handlers, verbosity = root.level, root.filters[:], root.handlers[:], transformers.level
    transformers.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
        root.filters, root.handlers = filters, handlers
        transformers.setLevel(verbosity)


def reason(error: Exception) -> str:
    """Why it is so, of the many lines that OpenVINO says it in: the last with words in it, without a full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__


def _silence() -> None:
    """Have ``import openvino_telemetry`` fail as if it were not installed, which both libraries are prepared for."""
    modules: dict[str, Any] = sys.modules
    if "openvino" not in modules:
        modules[TELLING] = None
