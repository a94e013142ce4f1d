"""Numbers as a person reads them."""

from __future__ import annotations

import doctest

from genre_lib import wording


def test_examples():
    assert doctest.testmod(wording).failed == 0


def test_units_change_at_their_bounds():
    amounts, sizes, spans = (999, 1000, 999_999, 1e6), (1023, 1024, 2**20, 2**30), (59.9, 59.99, 60, 3599.6)
    assert [wording.amount(number) for number in amounts] == ["999", "1.00 k", "1000 k", "1.00 M"]
    assert [wording.size(number) for number in sizes] == ["1023 B", "1.00 KiB", "1.00 MiB", "1.00 GiB"]
    assert [wording.span(seconds) for seconds in spans] == ["59.9 s", "1 min 0 s", "1 min 0 s", "1 h 0 min"]
