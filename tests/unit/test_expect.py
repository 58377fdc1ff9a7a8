"""Expectations: what the parser accepts and refuses, and what evaluation says of a run."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcore import units
from simcore.errors import UsageError
from simcore.expect import ExpectationError, evaluate, parse, parser, told_beforehand, tree
from simcore.message import Fate

MS = 10**6


@dataclass
class Fake:
    """A run of ten messages, told rather than simulated."""

    counts: dict = field(default_factory=dict)
    latencies: dict = field(default_factory=dict)
    records: dict = field(default_factory=dict)
    inferred: dict = field(default_factory=dict)

    def kinds(self):
        return sorted({kind for _, _, kind in self.counts if kind})

    def record_names(self):
        return sorted(self.records)

    def count(self, what, *, reason=None, kind=None):
        return self.counts.get((what, reason, kind), 0)

    def series(self, name, *, kind=None):
        return np.array(self.latencies.get((name, kind), []), dtype=np.int64)

    def record(self, name):
        values = self.records[name]
        return None if isinstance(values[0], str) else np.array(values, dtype=np.float64)

    def record_count(self, name):
        return len(self.records[name])

    def inferences(self, measure, *, place=None):
        values = self.inferred.get((measure, place))
        return None if values is None else np.array(values)


RUN = Fake(
    counts={
        ("sent", None, None): 10,
        ("delivered", None, None): 8,
        ("lost", None, None): 2,
        ("lost", "loss", None): 1,
        ("lost", "queue_full", None): 1,
        ("sent", None, "reading"): 6,
        ("sent", None, "my kind"): 3,
        ("sent", None, "silent"): 1,
    },
    latencies={
        ("latency", None): [MS * n for n in range(1, 9)],
        ("latency", "reading"): [2 * MS, 4 * MS],
        ("queueing", None): [0, 0, 3 * MS],
    },
    records={"temperature": [20.0, 22.0], "ok": [1, 1, 0, 1], "state": ["idle", "busy"]},
    inferred={
        ("placed", None): [True] * 5,
        ("placed", "edge"): [False, True, True, False, False],
        ("placed", "cloud"): [False] * 5,
        ("right", None): [1, 1, 0, 1],
        ("right", "edge"): [1, 0],
        ("latency", None): [5 * MS, 24 * MS, 20 * MS, 126 * MS],
        ("latency", "edge"): [24 * MS, 20 * MS],
        ("latency", "cloud"): [],
        ("uplink", None): [16, 72, 72, 84],
        ("energy", None): [0.001, 0.002, 0.002, 0.003],
        ("confidence", None): [0.9, 0.8],
    },
)


@pytest.mark.parametrize(
    ("text", "left", "right", "passed"),
    [
        ("delivered / sent >= 0.98", 0.8, 0.98, False),
        ("delivered / sent >= 80%", 0.8, 0.8, True),
        ("sent == 10", 10, 10, True),
        ("sent != 10", 10, 10, False),
        ("sent.reading < sent", 6, 10, True),
        ('sent."my kind" > 3', 3, 3, False),
        ("lost.queue_full + lost.loss == lost", 2, 2, True),
        ("in_flight <= 0", 0, 0, True),
        ("p50(latency) <= 4500us", 4.5 * MS, 4.5 * MS, True),  # between the 4th and 5th of 8
        ("mean(latency.reading) == 3ms", 3 * MS, 3 * MS, True),
        ("max(latency) - min(latency) == 7 ms", 7 * MS, 7 * MS, True),
        ("sum(queueing) / max(latency) < 50%", 3 / 8, 0.5, True),
        ("count(latency) == delivered", 8, 8, True),
        ("mean(record.temperature) == 21", 21.0, 21, True),
        ("mean(record.ok) >= 75%", 0.75, 0.75, True),
        ("max(record.temperature) < 1kB", 22.0, 1000, True),
        ("count(record.state) == 2", 2, 2, True),
        ("-sent + 2 * (3 - 1) * 2 < -1", -2, -1, True),
        ("1 - 2 - 3 == -4", -4, -4, True),
        ("8 / 2 / 2 == 2", 2, 2, True),
        ("2 + 3 * 4 == 14", 14, 14, True),
        ("accuracy(inference) >= 95%", 0.75, 0.95, False),
        ("accuracy(inference.edge) == 0.5", 0.5, 0.5, True),
        ("share(inference.edge) >= 40%", 0.4, 0.4, True),
        ("share(inference.cloud) == 0", 0.0, 0, True),
        ("p50(inference.latency) <= 22ms", 22 * MS, 22 * MS, True),
        ("max(inference.latency.edge) < 25ms", 24 * MS, 25 * MS, True),
        ("count(inference.latency.cloud) == 0", 0, 0, True),
        ("mean(inference.uplink) <= 61B", 61, 61, True),
        ("mean(inference.energy) <= 2mJ", 0.002, 0.002, True),
        ("min(inference.confidence) > 0.5", 0.8, 0.5, True),
    ],
)
def test_values_by_hand(text, left, right, passed):
    outcome = evaluate(parse(text), RUN)
    assert (outcome.left, outcome.right, outcome.passed) == (left, right, passed)
    assert outcome.text == text


def test_percentiles_interpolate_between_ranks():
    # 8 values: p95 lies at rank 1 + 0.95 * 7 = 7.65
    assert evaluate(parse("p95(latency) > 0ms"), RUN).left == pytest.approx(7.65 * MS)


def test_explanation_names_every_figure_used():
    outcome = evaluate(parse("delivered / sent >= 0.98"), RUN)
    assert outcome.explanation == (
        "delivered / sent = 0.8 is not >= 0.98 (delivered = 8, sent = 10)"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sent.redaing > 0", ["redaing", "did you mean 'reading'", "my kind"]),
        ("p99(latency.nothing) < 1s", ["nothing", "seen: my kind, reading, silent"]),
        ("mean(record.temprature) > 1", ["did you mean 'temperature'", "ok, state"]),
        ("max(latency.silent) < 1s", ["no message of kind 'silent' was delivered"]),
        ("mean(record.state) > 1", ["texts"]),
        ("sent / in_flight > 1", ["division by zero", "in_flight is 0"]),
        ("1 / (sent - 10) > 1", ["division by zero"]),
        ("1e300 * 1e300 > 1", ["too large"]),
        ("p95(inference.latency.cloud) < 1s", ["no inference was answered at the cloud"]),
        ("in_time(inference) > 90%", ["no 'deadline'"]),
        ("accuracy(inference.cloud) > 0", ["no 'truth'"]),
        ("sum(inference.energy.edge) < 1J", ["counts no energy"]),
        (
            "999999999999999999 " * 0 + " * ".join(["999999999999999999"] * 40) + " / 3 > 1",
            ["too large"],
        ),
    ],
)
def test_what_a_run_lacks_fails_with_an_explanation(text, words):
    outcome = evaluate(parse(text), RUN)
    assert not outcome.passed
    for word in words:
        assert word in outcome.explanation


def test_a_run_without_inferences():
    for text in ("share(inference.edge) == 0", "count(inference.latency) == 0"):
        outcome = evaluate(parse(text), Fake(inferred={("placed", None): []}))
        assert not outcome.passed and "no inference occurred" in outcome.explanation


def test_energies_are_shown_in_joule():
    outcome = evaluate(parse("mean(inference.energy) <= 1500uJ"), RUN)
    assert outcome.explanation == "mean(inference.energy) = 2 mJ is not <= 1500uJ"


def test_nothing_delivered_counts_as_zero():
    assert evaluate(parse("count(latency.silent) == 0"), RUN).passed


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("p99(latncy) < 1s", 5, ["latncy", "did you mean 'latency'"]),
        ("sentt > 1", 1, ["did you mean 'sent'"]),
        ("p98(latency) < 1s", 1, ["did you mean 'p9"]),
        ("p99(latency) <= 150", 14, ["a duration cannot be compared with a plain number", "10ms"]),
        ("sent <= 10ms", 6, ["a plain number cannot be compared with a duration"]),
        ("10ms + 1 < 1s", 6, ["added to"]),
        ("p99(latency) < 10kB", 14, ["a duration", "a size"]),
        ("p99(latency) < 10msec", 18, ["unknown unit 'msec'"]),
        ("p99(latency) < 0.5ns", 16, ["finer"]),
        ("latency < 1s", 1, ["series", "p95(latency)"]),
        ("record.x < 1", 1, ["record.NAME"]),
        ("mean(record) < 1", 12, ["name of a measurement"]),
        ("p99(sent) < 1", 5, ["count already"]),
        ("sent", 5, ["comparison", "the end"]),
        ("inference < 1", 1, ["series", "p95(inference.latency)"]),
        ("p95(inference) < 1s", 14, ["a measure, as in inference.latency"]),
        ("p95(inference.latncy) < 1s", 15, ["did you mean 'latency'"]),
        ("p95(inference.latency.egde) < 1s", 23, ["did you mean 'edge'"]),
        ("p95(inference.latency) < 1", 24, ["a duration cannot be compared with a plain"]),
        ("mean(inference.energy) < 1ms", 24, ["an energy cannot be compared with a duration"]),
        ("accuracy(latency) > 0", 10, ["write accuracy(inference)"]),
        ("share(inference) > 0", 16, ["share(inference.edge)"]),
        ("acuracy(inference) > 0", 1, ["did you mean 'accuracy'"]),
        ("sent = 1", 6, ["did you mean =="]),
        ("sent => 1", 6, ["did you mean =="]),
        ("1 < sent < 3", 10, ["one comparison"]),
        ("sent > 1 and lost < 1", 10, ["'and'", "own line"]),
        ("(sent > 1", 7, ["close the parenthesis"]),
        ('sent."my kind > 1', 6, ["closing quote"]),
        ("sent. > 1", 7, ["kind of message"]),
        ("__import__(1) == 0", 1, ["unknown word"]),
        ("sent > 'a'", 8, ["no meaning"]),
        ("", 1, ["the end"]),
        ("1e999 > 1", 1, ["too large"]),
        ("-" * 65 + "1 > 1", 65, ["operators"]),
        ("(" * 65, 65, ["operators"]),
        ("1" * 1001, 1000, ["characters"]),
    ],
)
def test_refused_with_column_and_advice(text, column, words):
    with pytest.raises(ExpectationError) as caught:
        parse(text)
    assert isinstance(caught.value, UsageError)
    assert caught.value.column == column
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("accuracy(inference) >= 95", "write 95%"),
        ("95.5 <= in_time(inference.edge)", "write 95.5%"),
        ("share(inference.edge) < 2", "write 2%"),
        ("p95(inference.confidence) > 80", "write 80%"),
        ("delivered / sent >= 98", "write 98%"),
        ("delivered.reading / sent.reading >= 98", "write 98%"),
        ("lost.loss.reading / lost <= 5", "write 5%"),
        ("1 - lost / sent >= 98", "write 98%"),
        ("(lost + in_flight) / sent <= 5", "write 5%"),
        ("(sent - delivered - in_flight) / sent <= 5", "write 5%"),
        ("(delivered.reading + lost.loss) / (delivered + lost) >= 95", "write 95%"),
        ("-(-lost) / (sent.reading + sent - sent.reading) <= 5", "write 5%"),
        ("sent / (lost + sent) >= 98", "write 98%"),
        ("accuracy(inference.cloud) - accuracy(inference.edge) >= -5", "write -5%"),
        ("(share(inference.edge) + share(inference.cloud)) / 2 > 40", "write 40%"),
        ("accuracy(inference) >= 950", "with 950 tells nothing"),
        ("accuracy(inference) >= -1", "with -1 tells nothing"),
        ("accuracy(inference) >= 101%", "with 101% tells nothing"),
        ("accuracy(inference) * 100 >= 100.5", "between 0 and 100: to compare it with 100.5"),
        ("accuracy(inference) >= 90 + 5", "with 90 + 5 tells nothing"),
    ],
)
def test_a_share_that_no_run_can_have_is_told_beforehand(text, advice):
    assert advice in told_beforehand(parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "accuracy(inference) >= 95%",
        "accuracy(inference) >= 0.95",
        "accuracy(inference) == 1",
        "lost / sent == 0",
        "accuracy(inference) * 100 >= 95",
        "accuracy(inference.edge) / accuracy(inference.device) > 2",
        "sum(inference.confidence) > 95",
        "count(inference.confidence) > 95",
        "delivered >= 98",
        "sent.reading / sent.ack >= 2",
        "sent / delivered <= 2",
        "lost / lost.loss >= 2",
        "(lost + lost) / sent >= 2",
        "(lost + in_flight) / delivered >= 2",
        "(lost + sent.reading) / sent >= 2",  # those that are both count twice
        "(delivered.reading + lost) / (sent.reading + lost.loss) >= 2",
        "(lost.loss + lost.queue_full + lost.link_down + lost.node_down) / (sent - lost) >= 2",
        "(delivered - lost) / sent < -2",
        "(lost + 1) / sent >= 2",
        "lost / (sent * 2) >= 2",
        "lost.loss / lost.queue_full >= 2",
        "mean(record.accuracy) >= 95",  # nobody knows its unit
        "p95(latency) <= 150ms",
        "1e300 * 1e300 * accuracy(inference) > 2",
        "1 > 2",
    ],
)
def test_what_a_run_may_meet_or_not_is_left_to_it(text):
    assert told_beforehand(parse(text)) is None


def test_a_kind_spelt_like_a_reason_is_quoted():
    assert parse('lost."loss" > 1').left == tree.Count("lost", None, "loss")
    assert parse("lost.loss > 1").left == tree.Count("lost", "loss", None)
    assert parse("lost.loss.reading > 1").left == tree.Count("lost", "loss", "reading")
    assert parse("lost.reading > 1").left == tree.Count("lost", None, "reading")


def test_reasons_are_the_fates_that_lose_a_message():
    lost = [fate.name.lower() for fate in Fate if fate > Fate.IN_FLIGHT]
    assert list(tree.REASONS) == lost


def test_units_are_those_of_scenarios():
    for unit, (_, read) in parser._UNITS.items():
        assert read(f"2{unit}") == 2 * read(f"1{unit}")
    known = {*units._TIME, *units._SIZE, *units._RATE, *units._ENERGY}
    assert known == set(parser._UNITS)


# --- properties ---------------------------------------------------------------------------

names = st.one_of(st.sampled_from(["reading", "loss", "p99", "my kind"]), st.text(max_size=8))
counts = st.builds(
    lambda what, reason, kind: tree.Count(what, reason if what == "lost" else None, kind),
    st.sampled_from(tree.COUNTS),
    st.none() | st.sampled_from(tree.REASONS),
    st.none() | names,
)
recorded = st.builds(
    lambda function, name: tree.Value(function, "record", name),
    st.sampled_from(tree.FUNCTIONS),
    names,
)
plain = st.sampled_from(["1", "20", "0.5", "3%"]).map(lambda text: parse(f"{text} < 1").left)
inferred = st.builds(
    tree.Inferred,
    st.sampled_from(tree.FUNCTIONS),
    st.sampled_from(["confidence", "energy"]),
    st.none() | st.sampled_from(tree.PLACES),
).filter(lambda term: term.function == "count" or term.measure == "confidence")
ratios = st.builds(
    lambda function, place: tree.Inferred(function, tree.RATIOS[function], place),
    st.sampled_from(sorted(tree.RATIOS)),
    st.sampled_from(tree.PLACES),
)
leaves = st.one_of(counts, recorded, inferred, ratios, plain)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(tree.Negative, inner),
        st.builds(tree.Operation, st.sampled_from("+-*/"), inner, inner),
    ),
    max_leaves=12,
)


@given(trees, st.sampled_from(sorted(tree.COMPARISONS)), trees)
def test_printed_form_reads_back_the_same(left, comparison, right):
    text = str(tree.Expectation(left, comparison, right, tree.PLAIN, ""))
    try:
        again = parse(text)
    except ExpectationError as error:
        assert "characters" in str(error) or "operators" in str(error)
        return
    assert (again.left, again.comparison, again.right) == (left, comparison, right)
    assert str(again) == text


fragments = st.sampled_from(
    [
        "sent",
        "lost",
        ".",
        "loss",
        "p99",
        "(",
        ")",
        "latency",
        "record",
        "inference",
        "accuracy",
        "energy",
        "edge",
        '"',
        "\\",
        "<",
        "=",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "10",
        "ms",
        "%",
        "1.5",
        " ",
        "e9",
        "kbit/s",
        "reading",
        "µ",
        "٣",
    ]
)


@given(st.text(max_size=60) | st.lists(fragments, max_size=20).map("".join))
def test_any_text_is_read_or_refused(text):
    try:
        expectation = parse(text)
    except UsageError:
        return
    told_beforehand(expectation)
    outcome = evaluate(expectation, RUN)
    assert outcome.passed in (True, False)
    assert "\n" not in outcome.explanation or "\n" in text
