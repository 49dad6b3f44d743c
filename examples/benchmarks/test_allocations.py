"""Limits of allocations as tests: the fixture `allocs`, and the marker `max_allocs`. The plugin comes with tallymark."""

import pytest

NUMBERS = [3, 1, 2]


def test_an_index_allocates_nothing(allocs):
    allocs.check(lambda: NUMBERS[1])


@pytest.mark.max_allocs(2)
def test_sorting_makes_one_list():
    sorted(NUMBERS)
