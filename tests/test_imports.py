"""What is imported apart from the collector is passed over by it, and it goes on as it was."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from genre_lib.imports import uncollected

MANY = 100_000
"""Objects, beside which it does not count that some others end meanwhile."""


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    gc.enable()


def test_what_was_made_meanwhile_is_no_more_looked_through():
    before = gc.get_freeze_count()
    with uncollected("not.there.yet"):
        assert not gc.isenabled()
        made = [[] for _ in range(MANY)]
    assert gc.isenabled()
    assert gc.get_freeze_count() > before + len(made) / 2


def test_garbage_is_collected_before():
    class Cycle:
        def __init__(self) -> None:
            self.own = self

        def __del__(self) -> None:
            gone.append(True)

    gone: list[bool] = []
    Cycle()
    with uncollected("not.there.yet"):
        assert gone == [True]


def test_a_block_within_another_leaves_the_collector_off():
    with uncollected("not.there.yet"):
        with uncollected("not.there.yet"):
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_where_it_is_off_it_stays_so():
    gc.disable()
    before = gc.get_freeze_count()
    with uncollected("not.there.yet"):
        made = [[] for _ in range(MANY)]
    assert not gc.isenabled() and gc.get_freeze_count() < before + len(made) / 2


def test_for_what_is_imported_already_nothing_is_done():
    before = gc.get_freeze_count()
    with uncollected("gc"):
        assert gc.isenabled()
        made = [[] for _ in range(MANY)]
    assert gc.get_freeze_count() < before + len(made) / 2


def test_an_import_that_fails_leaves_it_on():
    with pytest.raises(ModuleNotFoundError), uncollected("not.there.yet"):
        import genre_lib.absent  # noqa: F401
    assert gc.isenabled()
