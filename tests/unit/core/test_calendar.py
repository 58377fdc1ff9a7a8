"""The calendar: entries are handled in the order of their keys, on any environment."""

from __future__ import annotations

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from simcore.calendar import ARRIVAL, CONTROL, RELEASE, TIMER, Calendar
from simcore.clock import NEVER, Clock

END = 10_000
ENVIRONMENTS = [Clock, simpy.Environment]


def calendar_on(env, scale=1, on_instant=lambda: None):
    calendar = Calendar(env, scale, on_instant)
    calendar.end = END
    return calendar


def entry(key, action, argument=None):
    return (*key, action, argument)


times = st.integers(0, 60)
keys = st.lists(
    st.tuples(times, st.sampled_from([CONTROL, ARRIVAL, RELEASE, TIMER]), times, st.integers(0, 5)),
    max_size=30,
)


@given(keys, st.sampled_from(ENVIRONMENTS), st.lists(st.integers(1, 70), max_size=4))
def test_the_order_is_that_of_the_keys(found, make, cuts):
    """Whatever the order of pushing, and however the environment is run."""
    env = make()
    calendar = calendar_on(env)
    handled = []
    numbered = [(*key, number) for number, key in enumerate(found)]
    for key in numbered:
        calendar.push(entry(key, handled.append, key))
    for cut in sorted({*cuts, 100}):
        env.run(until=cut)
        assert handled == [key for key in sorted(numbered) if key[0] <= cut][: len(handled)]
        assert len(handled) >= sum(key[0] < cut for key in numbered)
    assert handled == sorted(numbered)


@given(
    st.lists(st.tuples(times, times), max_size=15),
    st.lists(st.tuples(times, times), max_size=15),
    st.sampled_from(ENVIRONMENTS),
)
def test_entries_that_entries_and_events_make_are_handled_in_their_time(first, second, make):
    """An entry at t pushes one at t + d; so does an event of the environment."""
    env = make()
    calendar = calendar_on(env)
    handled, expected = [], []
    numbers = iter(range(1000))

    def push_later(delay):
        at = calendar.current() + delay
        assert calendar.current() == env.now
        expected.append(at)
        calendar.push(
            (at, TIMER, 0, 0, next(numbers), lambda _: handled.append(calendar.now), None)
        )

    def event(at, delay):
        yield env.timeout(at)
        push_later(delay)

    for at, delay in first:
        calendar.push((at, ARRIVAL, 0, 0, next(numbers), push_later, delay))
    for at, delay in second:
        env.process(event(at, delay))
    env.run(until=500)
    assert handled == sorted(expected)


@pytest.mark.parametrize("make", ENVIRONMENTS)
def test_entries_come_before_everything_else_at_their_instant(make):
    """Also those that became known after the others were scheduled."""
    env = make()
    calendar = calendar_on(env)
    trace = []

    def other(name, priority_of_nothing=None):
        yield env.timeout(5)
        trace.append(name)

    env.process(other("before"))
    env.run(until=2)
    calendar.push((5, TIMER, 0, 0, 1, trace.append, "timer"))
    calendar.push((5, ARRIVAL, 0, 0, 1, trace.append, "arrival"))
    env.run(until=6)
    assert trace == ["arrival", "timer", "before"]


@pytest.mark.parametrize("make", ENVIRONMENTS)
def test_an_earlier_entry_replaces_the_wake(make):
    env = make()
    calendar = calendar_on(env)
    trace = []
    for at in (50, 30, 40, 10, 20):
        calendar.push((at, TIMER, 0, 0, at, lambda at: trace.append((at, env.now)), at))
    assert env.peek() == 10
    env.run(until=100)
    assert trace == [(at, at) for at in (10, 20, 30, 40, 50)]


@pytest.mark.parametrize("make", ENVIRONMENTS)
def test_nothing_is_handled_at_the_end_or_later(make):
    env = make()
    calendar = calendar_on(env)
    trace = []
    for at in (END - 1, END, END + 1):
        calendar.push((at, CONTROL, 0, 0, at, trace.append, at))
    env.run(until=2 * END)
    assert trace == [END - 1]


@pytest.mark.parametrize("make", ENVIRONMENTS)
def test_the_end_of_an_instant_is_announced_once_if_somebody_asked(make):
    env = make()
    ended = []
    calendar = calendar_on(env, on_instant=lambda: ended.append(calendar.now))

    def ask(_):
        calendar.busy = True

    for at, action in [(1, ask), (1, ask), (2, lambda _: None), (3, ask)]:
        calendar.push((at, TIMER, 0, 0, id(object()) + at + len(calendar.heap), action, None))
    env.run(until=10)
    assert ended == [1, 3]


@pytest.mark.parametrize("make", ENVIRONMENTS)
def test_an_entry_that_raises_leaves_the_others_for_later(make):
    env = make()
    calendar = calendar_on(env)
    trace = []

    def fail(_):
        raise RuntimeError("no")

    calendar.push((5, TIMER, 0, 0, 1, fail, None))
    calendar.push((5, TIMER, 0, 0, 2, trace.append, "same instant"))
    calendar.push((6, TIMER, 0, 0, 3, trace.append, "later"))
    with pytest.raises(RuntimeError, match="no"):
        env.run(until=10)
    assert not calendar.waking
    env.run(until=10)
    assert trace == ["same instant", "later"]


@pytest.mark.parametrize(
    ("scale", "start"), [(10**9, 0), (10**9, 3.7), (10**6, 12.1), (1, 5), (1000, 0.5)]
)
def test_a_clock_of_another_unit_wakes_at_the_exact_nanosecond(scale, start):
    env = simpy.Environment(initial_time=start)
    calendar = calendar_on(env, scale)
    seen = []
    instants = [1, 2, 3, 10, 333, 334, 1001, 9999]
    for at in instants:
        calendar.push((at, TIMER, 0, 0, at, lambda _: seen.append(calendar.current()), None))
    env.run(until=start + END / scale)
    assert seen == instants
    assert calendar.current() == END


def test_events_between_wakes_see_time_pass_and_never_go_back():
    env = simpy.Environment()
    calendar = calendar_on(env, 10**9)
    seen = []

    def shop():
        for _ in range(10):
            yield env.timeout(3e-10)  # a third of a nanosecond
            seen.append(calendar.current())

    env.process(shop())
    calendar.push((2, TIMER, 0, 0, 1, lambda _: seen.append("wake"), None))
    env.run(until=1e-8)
    assert seen == [0, 1, 1, 1, 2, 2, "wake", 2, 2, 3, 3]


# -- the environment that a run makes for itself


def test_a_clock_steps_one_wake_at_a_time_when_nothing_else_is_scheduled():
    env = Clock()
    calendar = calendar_on(env)
    trace = []
    for at in (3, 4):
        calendar.push((at, TIMER, 0, 0, at, trace.append, at))
    env.step()
    assert (trace, env.now, env.peek()) == ([3], 3, 4)
    env.step()
    assert (trace, env.now, env.peek()) == ([3, 4], 4, float("inf"))
    with pytest.raises(simpy.core.EmptySchedule):
        env.step()
    env.run()


def test_a_clock_without_a_calendar_is_an_environment():
    env = Clock()
    env.process(event := iter_timeouts(env))
    env.run()
    assert env.now == 3
    assert event.gi_frame is None
    assert env.peek() == float("inf")


def iter_timeouts(env):
    yield env.timeout(1)
    yield env.timeout(2)


def test_a_clock_goes_on_beyond_the_last_virtual_time():
    env = Clock()
    calendar_on(env)
    env.process(far(env))
    env.run(until=NEVER + 20)
    assert env.now == NEVER + 20


def far(env):
    yield env.timeout(NEVER + 10)
    yield env.timeout(float("inf"))


def test_a_clock_serves_one_calendar_and_others_use_its_events():
    env = Clock()
    trace = []
    calendars = [calendar_on(env), calendar_on(env), calendar_on(env, 1000)]
    for number, calendar in enumerate(calendars):
        calendar.push((2000, TIMER, 0, 0, 1, trace.append, (number, 2000)))
        calendar.push((1000, TIMER, 0, 0, 1, trace.append, (number, 1000)))
    env.run(until=1500)
    assert trace == [(2, 1000), (2, 2000), (0, 1000), (1, 1000)]
    late = calendar_on(env)
    late.push((10, TIMER, 0, 0, 1, lambda _: trace.append(env.now), None))
    env.run(until=1600)
    assert trace[-1] == 1510
