"""Energy of any world: what is drawn is what was done, however the run is driven and sliced."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from random_worlds import worlds
from worlds import play

from simcore.results.energy import EnergyRow

ENTRY = {
    "idle": "3mW",
    "active": "11mW",
    "radio": {"tx": "2uJ", "rx": "1uJ", "overhead": "7B"},
}
END = 6_000_000


def with_energy(scenario: Any, **keys: Any) -> Any:
    """The same world with a meter at each node."""
    entries = {group: {**ENTRY, **keys} for group in scenario.groups}
    return replace(scenario, extensions={**scenario.extensions, "energy": entries})


def counted(scenario: Any, drive: Any = None, **keys: Any) -> tuple[Any, list[EnergyRow]]:
    """The run as told, and its rows of energy."""
    rows: list[EnergyRow] = []

    def driven(federation: Any) -> None:
        federation.recorder.energy = rows.extend
        (drive or (lambda f: f.env.run(until=f.calendar.env_time(f.end))))(federation)

    return play(with_energy(scenario, **keys), driven), rows


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_bytes_and_times_are_those_of_the_run(make):
    told, rows = counted(make())
    assert told.digest == play(make()).digest
    names = told.federation.names
    sent, refused, received = Counter(), Counter(), Counter()
    for _, id, destination, _, size, _, _, fate in told.messages():
        sent[id.partition("/")[0]] += size + 7
        refused[id.partition("/")[0]] += (size + 7) * (fate == "queue_full")
        received[destination] += (size + 7) * (fate == "delivered")
    found = Counter()
    for row in rows:
        found[names[row.node], row.part] += row.bytes
        per_second = {"idle": 3e-3, "active": 11e-3}.get(row.part)
        per_byte = {"tx": 2e-6, "rx": 1e-6}.get(row.part)
        if row.part == "idle" or per_byte:
            expected = row.bytes * per_byte if per_byte else row.ns * per_second / 1e9
            assert abs(row.joule - expected) < 1e-15
    for name in names:
        assert found[name, "rx"] == received[name]
        # What its own queue refused was not sent; that of a node on its way may have refused it.
        assert sent[name] - refused[name] <= found[name, "tx"] <= sent[name]


@settings(max_examples=60, deadline=None)
@given(worlds(), st.sampled_from([None, "1uJ", "20uJ", "40uJ"]), st.lists(st.integers(1, END - 1)))
def test_nothing_depends_on_how_a_run_is_driven(make, battery, slices):
    keys = {} if battery is None else {"battery": battery}
    whole, rows = counted(make(), **keys)

    def in_slices(federation: Any) -> None:
        for time in sorted({*slices, END}):
            federation.env.run(until=time)

    sliced, others = counted(make(), in_slices, **keys)
    assert (sliced.digest, others) == (whole.digest, rows)
    other = play(with_energy(make(), **keys), env=simpy.Environment(), unit="1us")
    assert other.digest == whole.digest


@settings(max_examples=60, deadline=None)
@given(worlds(), st.integers(1, END - 1))
def test_a_run_that_is_cut_short_has_drawn_what_a_shorter_one_has(make, end):
    """Whatever was done at the very instant of the end does not count."""
    shorter, rows = counted(replace(make(), duration=end))

    def cut(federation: Any) -> None:
        federation.env.run(until=end)
        while federation.env.peek() <= end:
            federation.env.step()

    longer, others = counted(make(), cut)
    assert longer.digest == shorter.digest
    assert others == rows
