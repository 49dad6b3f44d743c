"""`Deadline`: a moment of a clock, that may be moved, and shared."""

from __future__ import annotations

import pytest

from tallymark.client.deadline import Deadline


def test_a_deadline_passes() -> None:
    now = 10.0
    deadline = Deadline(5, lambda: now)
    assert (deadline.left(), deadline.slice()) == (5, 0.25)
    now = 14.9
    assert deadline.slice() == pytest.approx(0.1)
    now = 15.0
    for ask in (deadline.left, deadline.slice):
        with pytest.raises(TimeoutError):
            ask()


def test_it_may_be_moved_to_an_earlier_moment_alone() -> None:
    deadline = Deadline(5, lambda: 0.0)
    deadline.cut(9)
    assert deadline.left() == 5
    deadline.cut(2)
    assert deadline.left() == 2


def test_a_share_of_it_is_never_later_than_the_whole() -> None:
    whole = Deadline(6, lambda: 0.0)
    share = whole.share(3)
    assert share.left() == 2
    whole.cut(1)
    assert share.left() == 1


def test_a_deadline_within_another_is_the_earlier_of_both_whichever_is_moved() -> None:
    now = 0.0
    whole = Deadline(6, lambda: now)
    assert whole.within(9).left() == 6
    within = whole.within(4)
    assert within.left() == 4
    now = 1.0
    assert within.left() == 3
    whole.cut(1)
    assert within.left() == 1
