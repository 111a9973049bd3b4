"""Intervals against textbook values."""

import pytest

from scribe_core.intervals import bootstrap, student, wilson


def test_wilson_by_hand() -> None:
    low, high = wilson(8, 10)
    assert low == pytest.approx(0.4902, abs=1e-3)
    assert high == pytest.approx(0.9433, abs=1e-3)
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == pytest.approx(1)
    assert wilson(0, 0) == (0, 1)


def test_bootstrap_covers_the_mean_and_is_repeatable() -> None:
    values = [0.0] * 50 + [1.0] * 50
    low, high = bootstrap(values)
    assert low == pytest.approx(0.40, abs=0.02)
    assert high == pytest.approx(0.60, abs=0.02)
    assert bootstrap(values) == (low, high)
    assert bootstrap([0.5] * 9) == (0.5, 0.5)


def test_no_values_have_no_interval() -> None:
    with pytest.raises(ValueError, match="at least one"):
        bootstrap([])


def test_student_by_hand() -> None:
    assert student([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.4843, 2 + 2.4843), abs=1e-3)
    with pytest.raises(ValueError, match="2 to 10"):
        student([1.0])
