"""However a run is driven, and in whatever environment, its trace and digest are the same."""

from __future__ import annotations

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from random_worlds import worlds
from worlds import MS, PLUGINS, S, Transcript, play, world

from simcore import Federation, UsageError

END = 6 * MS


def same(told, expected):
    assert told.text == expected.text
    assert told.digest == expected.digest


@settings(max_examples=40)
@given(worlds())
def test_twice_and_on_a_plain_environment(make):
    expected = play(make())
    same(play(make()), expected)
    same(play(make(), env=simpy.Environment()), expected)


@settings(max_examples=40)
@given(worlds(), st.lists(st.integers(1, END - 1), max_size=8), st.booleans())
def test_in_slices(make, cuts, plain):
    """Cut anywhere, also at the very instants at which something happens."""
    expected = play(make())
    busy = [line[0] for line in expected.lines if 0 < line[0] < END][:40:5]

    def drive(federation):
        for cut in sorted({*cuts, *busy, END}):
            federation.env.run(until=cut)

    same(play(make(), drive, env=simpy.Environment() if plain else None), expected)


@settings(max_examples=40)
@given(worlds())
def test_step_by_step(make):
    def drive(federation):
        env = federation.env
        while env.peek() < END:
            env.step()
        env.run(until=END)

    expected = play(make())
    same(play(make(), drive), expected)
    same(play(make(), drive, env=simpy.Environment()), expected)


@settings(max_examples=40)
@given(worlds(), st.sampled_from(["1us", "1ms", "1s", "1min"]), st.sampled_from([0, 0.0, 2, 2.5]))
def test_in_other_units_and_from_another_time(make, unit, start):
    scale = {"1us": 10**3, "1ms": MS, "1s": S, "1min": 60 * S}[unit]
    env = simpy.Environment(initial_time=start)
    told = play(make(), lambda _: env.run(until=start + END / scale), env=env, unit=unit)
    same(told, play(make()))


@settings(max_examples=25)
@given(worlds(), st.lists(st.floats(0.001, 5.999), max_size=5))
def test_float_slices_of_integer_nanoseconds(make, cuts):
    def drive(federation):
        for cut in sorted({cut * 1e6 for cut in cuts}):
            federation.env.run(until=cut)
        federation.env.run(until=6e6)

    same(play(make(), drive), play(make()))
    same(play(make(), drive, env=simpy.Environment()), play(make()))


@settings(max_examples=40)
@given(worlds(), worlds(), st.integers(0, END), st.sampled_from(["own", "plain", "float"]))
def test_beside_a_second_federation(make, other, lead, kind):
    """Two runs in one environment, the second begun later: each as if it were alone."""
    expected, beside = play(make()), play(other())
    scale = S if kind == "float" else 1
    env = None if kind == "own" else simpy.Environment()
    unit = "1s" if kind == "float" else "1ns"
    first = Federation(make(), env, unit=unit, plugins=PLUGINS)
    first.recorder.digest = transcript = Transcript(first)
    env = first.env

    def until(time):
        if time / scale > env.now:
            env.run(until=time if scale == 1 else time / scale)

    until(lead)
    second = Federation(other(), env, unit=unit, plugins=PLUGINS)
    second.recorder.digest = further = Transcript(second)
    until(END)
    first.close()
    until(lead + END)
    second.close()
    assert transcript.lines() == expected.lines
    assert further.lines() == beside.lines
    assert (first.digest, second.digest) == (expected.digest, beside.digest)


@settings(max_examples=25)
@given(worlds(), st.integers(1, END))
def test_a_run_closed_early_is_the_beginning_of_the_whole(make, end):
    """Everything before the end is the same; what was under way is in flight."""
    whole = play(make())
    part = play(make(), lambda federation: federation.env.run(until=end))
    before = [line for line in whole.lines if line[0] < end]
    assert part.lines[: len(before)] == before
    rest = part.lines[len(before) :]
    assert all(line[0] == end and line[-1] == "in_flight" for line in rest)
    sent = {m[1] for m in whole.messages() if m[6] < end}
    assert {m[1] for m in part.messages()} == sent


def test_a_duration_that_a_float_clock_cannot_tell_apart_is_refused():
    long = world({"a": None}, lasts="50d")
    Federation(long, plugins=PLUGINS).close()
    with pytest.raises(UsageError, match="use the unit 1ns"):
        Federation(long, unit="1s", plugins=PLUGINS)
    with pytest.raises(UsageError, match="'0s'"):
        Federation(long, unit="0s", plugins=PLUGINS)
