"""Rules of devices: texts, decisions, and what is expected of a round trip."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcore.extensions.placement.rules import (
    OUTSTANDING,
    PROBE,
    BadRule,
    Keeper,
    Rule,
    Setup,
    parse,
    read_setup,
    smoothed,
)

RULES = st.one_of(
    st.sampled_from(["local", "remote", "both"]),
    st.integers(0, 1000).map("confidence {}".format),
    st.integers(0, 3_600_000).map("latency {}".format),
)


def decisions(keeper: Keeper, confidences: list[int]) -> list[tuple[bool, str]]:
    return [tuple(keeper.decide(each)) for each in confidences]


@pytest.mark.parametrize(
    ("text", "computes", "verdicts"),
    [
        ("local", True, [(False, "rule")] * 3),
        ("remote", False, [(True, "rule")] * 3),
        ("both", True, [(True, "rule")] * 3),
        ("confidence 800", True, [(True, "unsure"), (False, "sure"), (False, "sure")]),
        ("confidence 0", True, [(False, "sure")] * 3),
        ("latency 100", True, [(True, "in time")] * 3),
    ],
)
def test_decisions_of_each_rule(text, computes, verdicts):
    keeper = Keeper(text)
    assert keeper.rule.computes is computes
    assert decisions(keeper, [799, 800, 1000]) == verdicts


@given(RULES)
def test_a_rule_is_read_as_it_is_written(text):
    rule = parse(text)
    assert text == (f"{rule.kind} {rule.limit}" if " " in text else rule.kind)


@given(st.text() | st.sampled_from(["confidence", "latency", "local", "both"]).flatmap(
    lambda word: st.text().map(lambda rest: f"{word} {rest}")
))  # fmt: skip
def test_any_other_text_is_refused(text):
    try:
        rule = parse(text)
    except BadRule as error:
        assert repr(text) in str(error)
    else:
        assert rule in (Rule(rule.kind), Rule(rule.kind, int(text.split()[1] if rule.limit else 0)))


@pytest.mark.parametrize(
    "text", ["", "locally", "local 1", "confidence", "confidence 1001", "confidence -1",
             "confidence 8٠0", "latency 3600001", "latency 1.5", "latency  5", "Remote"],
)  # fmt: skip
def test_what_is_no_rule(text):
    with pytest.raises(BadRule):
        parse(text)


# -- latency


def test_a_round_trip_that_takes_too_long_keeps_the_device_from_asking():
    keeper = Keeper("latency 100")
    keeper.asked(1, 0)
    keeper.answered(1, 100_000)
    assert keeper.round_trip == 100_000
    assert keeper.decide(500) == (True, "in time")  # just so
    keeper.asked(2, 200_000)
    keeper.answered(2, 300_008)
    assert keeper.round_trip == 100_001
    assert decisions(keeper, [500] * (PROBE + 2)) == [
        *[(False, "late")] * PROBE,
        (True, "probe"),
        (False, "late"),
    ]


def test_what_is_overdue_counts_double_once():
    keeper = Keeper("latency 100")
    keeper.asked(1, 0)
    keeper.asked(2, 50_000)
    keeper.sample(100_000)
    assert keeper.round_trip == 0  # not yet: it has passed when more time is gone
    keeper.sample(100_001)
    assert keeper.round_trip == 200_000
    keeper.sample(100_002)
    keeper.answered(1, 110_000)  # counted already
    assert keeper.round_trip == 200_000
    keeper.answered(2, 130_000)
    assert keeper.round_trip == 200_000 - 15_000


def test_several_that_are_overdue_count_each():
    keeper = Keeper("latency 10")
    for n in (1, 2, 3):
        keeper.asked(n, n * 1000)
    keeper.sample(50_000)
    assert keeper.round_trip == 20_000
    keeper.answered(3, 60_000)
    assert keeper.round_trip == 20_000


def test_only_so_many_are_remembered():
    keeper = Keeper("latency 10")
    for n in range(OUTSTANDING + 1):
        keeper.asked(n, 0)
    keeper.answered(0, 5)
    assert keeper.round_trip == 0
    keeper.answered(1, 5)
    assert keeper.round_trip == 5


def test_another_rule_starts_anew_and_the_same_does_not():
    keeper = Keeper("latency 10")
    keeper.asked(1, 0)
    keeper.answered(1, 90_000)
    keeper.take("latency 10")
    assert keeper.round_trip == 90_000
    keeper.take("confidence 500")
    assert keeper.round_trip == 0
    keeper.asked(2, 0)
    keeper.answered(2, 10)
    assert keeper.round_trip == 0  # nobody asks
    with pytest.raises(BadRule):
        keeper.take("nonsense")
    assert keeper.text == "confidence 500"
    assert keeper.decide(499) == (True, "unsure")


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_smoothing_is_what_c_computes(before, time):
    found = smoothed(before, time)
    assert found == before + int((time - before) / 8)  # towards zero; exact below 2^53
    assert min(before, time) <= found <= max(before, time)


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.integers(1, 30_000), st.integers(0, 120_000) | st.none()), max_size=60),
)
def test_latency_against_a_plain_account(limit, steps):
    """What a device knows, told once more from all that has happened so far."""
    keeper = Keeper(f"latency {limit}")
    now, kept = 0, 0
    asked: dict[int, tuple[int, int | None]] = {}
    observed: list[int] = []
    for n, (pause, trip) in enumerate(steps, 1):
        now += pause
        for m in sorted(m for m, (_, due) in asked.items() if due is not None and due <= now):
            sent, due = asked.pop(m)
            assert due is not None
            keeper.answered(m, due)
            observed.append(due - sent)
        keeper.sample(now)
        for m in [m for m, (sent, _) in asked.items() if now - sent > limit * 1000]:
            del asked[m]
            observed.append(2 * limit * 1000)
        expected = 0
        for each in observed:
            expected = smoothed(expected, each) if expected else each
        assert keeper.round_trip == expected
        late = expected > limit * 1000
        asks, why = keeper.decide(500)
        assert asks == (not late or kept == PROBE)
        assert why == (("probe" if asks else "late") if late else "in time")
        kept = 0 if asks else kept + 1
        if asks:
            keeper.asked(n, now)
            asked[n] = (now, None if trip is None else now + trip)
            if len(asked) > OUTSTANDING:
                del asked[min(asked)]


# -- setups


@given(
    RULES,
    st.integers(0, 10**6),
    st.integers(1, 10**6),
    st.booleans(),
    st.none() | st.integers(0, 10**6),
)
def test_a_setup_is_read_as_it_is_written(rule, following, period, quiet, first):
    setup = Setup(rule, following, period, quiet, first)
    assert read_setup(setup.text()) == setup


@pytest.mark.parametrize(
    ("text", "setup"),
    [
        ("rule local", Setup("local")),
        ("quiet;rule local;next 3", Setup("local", 3, 1000, quiet=True)),
        ("blink 3; rule remote; period 10", Setup("remote", 0, 10)),
        ("rule local; first 0", Setup("local", first=0)),
        ("", None),
        ("next 3", None),
        ("rule local; first -1", None),
        ("rule fast", None),
        ("rule local; next -3", None),
        ("rule local; period 0", None),
        ("rule local; period soon", None),
    ],
)
def test_setups(text, setup):
    assert read_setup(text) == setup
