"""Named random streams: apart from each other, the same everywhere and for ever."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from simcore.streams import bulk_stream, stream, stream_seed

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)


def test_the_numbers_of_a_published_run_stay_what_they_were():
    drawn = stream(42, "meter-3", "model")
    assert [drawn.randrange(1000) for _ in range(5)] == [599, 352, 29, 340, 325]
    assert bulk_stream(42, "meter-3", "noise").integers(0, 1000, 5).tolist() == [
        135,
        533,
        108,
        330,
        876,
    ]


@given(st.integers(0, 2**63), names, names, st.integers(0, 2**63), names, names)
def test_different_names_are_different_streams(seed, owner, purpose, seed_2, owner_2, purpose_2):
    same = (seed, owner, purpose) == (seed_2, owner_2, purpose_2)
    assert (stream_seed(seed, owner, purpose) == stream_seed(seed_2, owner_2, purpose_2)) == same


def test_names_do_not_run_into_each_other():
    assert stream_seed(1, "ab", "c") != stream_seed(1, "a", "bc")
    assert stream_seed(11, "a", "b") != stream_seed(1, "1a", "b")


def test_the_global_generator_plays_no_part():
    state = random.getstate()
    first = stream(1, "a", "b").random()
    random.seed(5)
    assert stream(1, "a", "b").random() == first
    random.setstate(state)
