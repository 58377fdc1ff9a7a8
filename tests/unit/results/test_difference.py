"""The first difference between two runs, in the order of the digest."""

from __future__ import annotations

import sqlite3

import pytest
from by_hand import FAULTS, MEASUREMENTS, MESSAGES, MS

from simcore.results.difference import Difference, first_difference
from simcore.results.store import open_run


def change(rows, place, **fields):
    """A copy of the rows with some fields of one row replaced, by position."""
    row = list(rows[place])
    for position, value in fields.items():
        row[int(position[1:])] = value
    return [*rows[:place], tuple(row), *rows[place + 1 :]]


@pytest.fixture
def difference(make_run):
    def compute(**tables):
        with open_run(make_run("a")) as a, open_run(make_run("b", **tables)) as b:
            there = first_difference(a.connection, b.connection)
            back = first_difference(b.connection, a.connection)
            if there is None:
                assert back is None
            else:  # the other way round the same, with the values exchanged
                assert (back.at, back.record, back.field) == (there.at, there.record, there.field)
                assert (back.left, back.right) == (there.right, there.left)
            return there

    return compute


def test_equal_runs(difference):
    assert difference() is None


def test_order_of_writing_does_not_matter(difference):
    assert difference(messages=MESSAGES[::-1], measurements=MEASUREMENTS[::-1]) is None


def test_one_nanosecond(difference):
    found = difference(messages=change(MESSAGES, 1, _5=130 + 1 / MS))
    assert found == Difference(130 * MS, "message", "meter-0/2", "at", 130 * MS, 130 * MS + 1)
    assert str(found).startswith("at 0.13s: message meter-0/2: at is 0.13s in the first run")


def test_fate(difference):
    found = difference(messages=change(MESSAGES, 2, _6="delivered"))
    assert (found.record, found.field) == ("meter-0/3", "fate")
    assert (found.left, found.right) == ("loss", "delivered")


def test_size_and_destination(difference):
    assert difference(messages=change(MESSAGES, 0, _3=101)).field == "size"


def test_the_earliest_of_several_is_named(difference):
    messages = change(change(MESSAGES, 6, _3=9), 4, _3=9)  # cloud/1 at 100, gateway/1 at 70
    assert difference(messages=messages).record == "gateway/1"


def test_a_measurement_before_a_message_of_the_same_instant(difference):
    # at 50: message meter-1/1 comes first, then gateway #1, then cloud #1
    found = difference(measurements=change(MEASUREMENTS, 3, _5=0))
    assert found == Difference(50 * MS, "measurement", "cloud #1", "value", 1, 0)


def test_a_missing_record(difference):
    found = difference(messages=MESSAGES[:1] + MESSAGES[2:])
    assert (found.record, found.field, found.left, found.right) == (
        "meter-0/2",
        "occurs",
        "yes",
        "no",
    )


def test_the_last_record_missing(difference):
    found = difference(messages=MESSAGES[:-1])
    assert (found.record, found.field) == ("gateway/3", "occurs")


def test_faults(difference):
    found = difference(faults=change(FAULTS, 1, _4="node_down"))
    assert (found.what, found.record, found.field) == ("fault", "#2", "target")


def test_long_payloads_are_cut_where_they_differ():
    left = '{"values":[' + "1," * 100 + "2]}"
    text = str(Difference(0, "message", "a/1", "payload", left, left.replace("2]", "3]")))
    assert "2]" in text and "3]" in text and len(text) < 220


@pytest.mark.parametrize(
    ("messages", "record", "field"),
    [
        (change(MESSAGES, 6, _3=9), "cloud/1", "size"),
        (MESSAGES[:6], "cloud/1", "occurs"),
    ],
)
def test_far_into_long_runs(difference, monkeypatch, messages, record, field):
    monkeypatch.setattr("simcore.results.difference._CHUNK", 2)
    found = difference(messages=messages)
    assert (found.record, found.field) == (record, field)


def test_another_order_of_nodes_is_no_difference_by_itself(make_run):
    """Two scenarios that differ in a node that does nothing give the same records."""
    with open_run(make_run("a")) as a:
        writable = sqlite3.connect(":memory:")
        a.connection.backup(writable)
    writable.execute("UPDATE node SET id = id + 10")
    writable.execute("UPDATE message SET source = source + 10, destination = destination + 10")
    writable.execute("UPDATE measurement SET node = node + 10")
    with open_run(make_run("c")) as c:
        assert first_difference(c.connection, writable) is None
    writable.close()
