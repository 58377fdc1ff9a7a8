"""The reader: set up once, it takes pictures, keeps or asks, and acts on what it is told.

gateway <-> reader
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from devices import Device, device
from firmware_builds import native
from hypothesis import given, settings
from hypothesis import strategies as st
from reader_twin import OWN, Said, Twin, boot

from simcore.extensions.placement.rules import Setup, read_setup
from simcore.payload import freeze, refreeze, thaw

MS = 1_000_000
BYTE = 1000
CONFIG = {"uart": {"usart2": {"baud": 10_000_000}}}
RULES = ("local", "remote", "both", "confidence 0", "confidence 800", "confidence 1000", "latency 0",
         "latency 20", "latency 60")  # fmt: skip


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return native(tmp_path_factory.mktemp("reader"), "SANITIZE=1", app="reader")


def said(outputs: list[Any]) -> list[Said]:
    return [
        (each.dst, each.kind, refreeze(each.payload), each.size, each.cause) for each in outputs
    ]


def logged(log: str, word: str) -> list[str]:
    """What stands behind a word in the log, without times."""
    texts = [line.split(" s: ", 1)[1] for line in log.splitlines()]
    return [text.removeprefix(f"{word} ") for text in texts if text.startswith(f"{word} ")]


class Driven:
    """A reader and its twin: the test is the network and the dispatcher."""

    def __init__(self, reader: Device) -> None:
        self.reader = reader
        self.twin = Twin(self._asked)
        self.outputs = list(reader.boot(CONFIG, end=2**52).outputs)
        self.line = 0  # when what came last is over
        self.due: list[tuple[int, int, str, Any]] = []
        self.asked: list[int] = []
        self.delay = lambda n: None

    def _asked(self, n: int, now: int) -> None:
        self.asked.append(n)
        after = self.delay(n)
        if after is not None:
            label = n % 10
            result = {"n": n, "label": label, "confidence": 0.5, "place": "edge", "why": "sure"}
            self.send(now + after, "result", result)

    def send(self, at: int, kind: str, payload: Any) -> None:
        heapq.heappush(self.due, (at, len(self.asked) * 1000 + len(self.due), kind, payload))

    def run(self, end: int) -> None:
        """Both, until then (ns)."""
        while True:
            at = self.due[0][0] if self.due else end
            while self.twin.next < min(at, end):
                self.twin.wake()
                at = self.due[0][0] if self.due else end
            if at >= end:
                break
            self._deliver(*heapq.heappop(self.due))
        self.outputs += self.reader.settle(end - 1)

    def _deliver(self, at: int, _: int, kind: str, payload: Any) -> None:
        self.outputs += self.reader.settle(at - 1)
        self.outputs += self.reader.advance(at, payload, kind=kind, src="gateway").outputs
        id = f"gateway/{self.reader.number}"
        line = f'{{"src":"gateway","kind":"{kind}","id":"{id}","payload":{freeze(payload)}}}\n'
        self.line = heard = max(at, self.line) + len(line.encode()) * BYTE
        while self.twin.next < heard:
            self.twin.wake()
        if kind == "setup":
            self.twin.set_up(payload, heard)
        else:
            self.twin.act(payload, heard, "gateway", id)


@contextmanager
def driven(program: Path, folder: Path) -> Iterator[Driven]:
    with device(program, folder) as reader:
        both = Driven(reader)
        yield both
        assert said(both.outputs) == both.twin.said
        assert reader.end() == 0
        assert [int(text) for text in logged(reader.log, "shows")] == both.twin.shown


def test_it_says_boot_until_it_is_set_up(program: Path, tmp_path: Path) -> None:
    with driven(program, tmp_path) as both:
        both.send(2500 * MS, "setup", "rule local; next 37; period 100")
        both.run(3000 * MS)
        line = '{"dst":"gateway","kind":"boot","payload":{"firmware":"reader","version":1,"at":%d}}'
        lines = [f"{line}\n" % at for at in (0, 1_000_000, 2_000_000)]
        took = [k * 1000 * MS + len(line) * BYTE for k, line in enumerate(lines)]
        assert [each.at for each in both.outputs[:3]] == took
        assert both.twin.said[:3] == [boot(0), boot(1_000_000), boot(2_000_000)]
        [first, *_] = both.twin.said[3:]
        assert thaw(first[2]) == {
            "n": 1, "index": 37, "at": 2_600_094, "label": OWN[37][0],
            "confidence": OWN[37][1] / 1000, "why": "rule",
        }  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_keeps_to_the_rules_as_python_does(
    program: Path, tmp_path: Path, rule: str, seed: int
) -> None:
    """The same results, some lost, some late, some twice, and the same messages."""
    chance = random.Random(f"{rule} {seed}")
    period = chance.choice([7, 20, 100])

    def delay(n: int) -> int | None:
        slow = n // 40 % 2  # times are good, then bad, and good again
        return None if chance.random() < 0.2 else chance.randrange((5 + 90 * slow) * MS)

    with driven(program, tmp_path) as both:
        both.delay = delay
        first = None if seed == 1 else chance.randrange(2 * period)
        index = chance.randrange(10**9)
        setup = Setup(rule, next=index, period=period, quiet=seed == 3, first=first)
        both.send(3 * MS + seed, "setup", setup.text())
        both.send(chance.randrange(10**9), "setup", "rule both; period 1")  # too late
        for _ in range(5):  # nobody asked, or the answer came before
            result = {"n": chance.randrange(1, 50), "label": chance.randrange(10)}
            both.send(chance.randrange(10**8, 3 * 10**9), "result", result)
        both.run(240 * period * MS)
        assert both.twin.said[-1][1] in ("reading", "image", "shown")
    whys = {thaw(each[2]).get("why") for each in both.twin.said}
    if rule in ("latency 20", "latency 60"):
        assert whys >= {"in time", "late", "probe"}, "the sequence tests what it should"


def test_rules_change_with_results(program: Path, tmp_path: Path) -> None:
    chance = random.Random(4)
    with driven(program, tmp_path) as both:
        both.delay = lambda n: chance.randrange(30 * MS)
        both.send(1, "setup", "rule remote; period 10")
        wrong = 0
        for number in range(60):
            rule = chance.choice([*RULES, "latency 5", "confidence 1001", "nonsense", "", "both "])
            wrong += rule in ("confidence 1001", "nonsense", "")
            result = {"n": number + 1, "label": number % 10, "rule": rule}
            both.send((number + 1) * 50 * MS, "result", result)
        both.run(3200 * MS)
    assert len(logged(both.reader.log, "refused")) == wrong > 0


def test_more_are_outstanding_than_it_remembers(program: Path, tmp_path: Path) -> None:
    with driven(program, tmp_path) as both:
        both.delay = lambda n: None if n % 3 else 25 * MS
        both.send(1, "setup", "rule latency 40; period 1")
        both.run(400 * MS)
        assert len(both.asked) > 30


def test_time_goes_on_beyond_32_bits(program: Path, tmp_path: Path) -> None:
    with driven(program, tmp_path) as both:
        both.send(1, "setup", "rule confidence 800; period 900000007")
        both.run(4 * 900_000_007 * MS)
        times = [thaw(each[2])["at"] for each in both.twin.said[1:]]
        assert times[-1] > 2**41 and len(times) == 3


SETUPS = [
    ("rule local", True),
    ("quiet;rule local;next 3", True),
    ("blink 3; rule remote; period 10", True),
    (" rule latency 30 ;  next 127 ; ", True),
    ("rule local; rule remote", True),
    ("rule local; to access", True),
    ("rule local; next 999999999", True),
    ("", False),
    ("next 3", False),
    ("rule", False),
    ("rule fast", False),
    ("rule local 1", False),
    ("rule confidence", False),
    ("rule confidence 1001", False),
    ("rule confidence -1", False),
    ("rule latency 3600001", False),
    ("rule latency 1.5", False),
    ("rule latency 99999999999999999999", False),
    ("Rule local", False),
    ("rule local; next -3", False),
    ("rule local; next x", False),
    ("rule local; period 0", False),
    ("rule local; period soon", False),
    ("rule local; period", False),
    ("rule local; first 0", True),
    ("rule local; first -1", False),
    ("rule local; first", False),
    ("rule local\0", False),
]


@pytest.mark.parametrize(("text", "good"), SETUPS)
def test_setups(program: Path, tmp_path: Path, text: str, good: bool) -> None:
    assert (read_setup(text) is not None) is good
    with device(program, tmp_path) as reader:
        reader.boot(CONFIG)
        reader.advance(5, text, kind="setup")
        outputs = reader.settle(1500 * MS)
        kinds = [each.kind for each in outputs]
        assert ("boot" in kinds) is (not good)
        assert all(each.dst == ("access" if "access" in text else "gateway") for each in outputs)
        assert len(logged(reader.log, "refused")) == (not good)


@pytest.mark.parametrize(
    "text",
    ['rule local; to a"b', "rule local; to ", "rule local; to ü", "rule local; to " + "n" * 65,
     "rule local; x " + "y" * 200, "rule local; period 1000000000"],
)  # fmt: skip
def test_setups_that_only_firmware_refuses(program: Path, tmp_path: Path, text: str) -> None:
    with device(program, tmp_path) as reader:
        reader.boot(CONFIG)
        reader.advance(5, text, kind="setup")
        assert [each.kind for each in reader.settle(1500 * MS)] == ["boot"]
        assert len(logged(reader.log, "refused")) == 1


def test_a_setup_may_be_typed(program: Path, tmp_path: Path) -> None:
    config = {"uart": {"usart2": {**CONFIG["uart"]["usart2"], "mode": "raw", "peer": "terminal"}}}
    with device(program, tmp_path) as reader:
        reader.boot(config)
        reader.advance(5, "rule local; period 10", kind="line", src="terminal")
        said = [thaw(refreeze(each.payload)) for each in reader.settle(15 * MS)]
        assert said[1] == f"shows {OWN[0][0]}"


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"n": 1}, "result"),
        ({"label": 1}, "result"),
        ({"n": -1, "label": 1}, "result"),
        ({"n": 2**32, "label": 1}, "result"),
        ({"n": 1.5, "label": 1}, "result"),
        ({"n": "1", "label": 1}, "result"),
        ({"n": 1, "label": 10}, "result"),
        ({"n": 1, "label": -1}, "result"),
        ({"n": 1, "label": "seven"}, "result"),
        ([1], "result"),
        (None, "result"),
        ("rule local", "result"),
        ("rule local", "command"),
        ({"rule": "local"}, "setup"),
        (7, "setup"),
        ({"n": 1, "label": 1, "why": "x" * 512}, "result"),
    ],
)
def test_what_makes_no_sense_is_counted(
    program: Path, tmp_path: Path, payload: Any, kind: str
) -> None:
    with device(program, tmp_path) as reader:
        reader.boot(CONFIG)
        reader.advance(5, {"n": 1, "label": 1}, kind="result")  # without a rule nobody has asked
        reader.settle(500 * MS)
        reader.advance(500 * MS + 1, "rule remote; period 100", kind="setup")
        reader.settle(520 * MS)
        before = len(logged(reader.log, "refused"))
        reader.advance(520 * MS + 1, payload, kind=kind)
        kinds = [each.kind for each in reader.settle(1550 * MS)]
        refused = logged(reader.log, "refused")
        already = kind == "setup" and isinstance(payload, str)
        assert (before, len(refused)) == (1, 2 - already)
        assert [text.split(":")[0] for text in refused] == ["1", "2"]
        assert kinds == ["image"] * 10
        assert logged(reader.log, "shows") == []


def test_a_long_reason_is_no_trouble(program: Path, tmp_path: Path) -> None:
    with driven(program, tmp_path) as both:
        both.send(1, "setup", "rule remote")
        both.send(
            1500 * MS, "result", {"n": 1, "label": 4, "place": "cloud", "why": "because " * 48}
        )
        both.run(1600 * MS)
    assert both.twin.said[-1][1] == "shown"


WORDS = st.sampled_from(["rule", "next", "period", "quiet", "to", "local", "remote", "confidence",
                         "latency", "800", "0", "-1", "99999999999", ";", "; ", " ", "gateway"])  # fmt: skip
TEXTS = st.lists(WORDS | st.text(max_size=3), max_size=12).map(" ".join) | st.text()
RESULTS = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(-(2**33), 2**33) | st.none(),
        "label": st.integers(-1, 11) | st.text(max_size=3),
        "rule": TEXTS | st.sampled_from(RULES) | st.integers(),
        "why": st.text(max_size=30),
    },
)


@settings(max_examples=80)
@given(
    first=st.sampled_from(RULES) | st.none(),
    messages=st.lists(
        st.tuples(st.just("setup"), TEXTS)
        | st.tuples(st.just("result"), RESULTS)
        | st.tuples(st.sampled_from(["setup", "result", "x", '"']), RESULTS | TEXTS | st.binary()),
        max_size=12,
    ),
)
def test_nothing_that_comes_harms_it(
    program: Path, tmp_path_factory: pytest.TempPathFactory, first: str | None,
    messages: list[tuple[str, Any]],
) -> None:  # fmt: skip
    """Built with the sanitizers; it goes on, and says nothing that is no message."""
    with device(program, tmp_path_factory.mktemp("fuzz")) as reader:
        reader.boot(CONFIG)
        if first is not None:
            reader.advance(1, f"rule {first}; period 50", kind="setup")
        for number, (kind, payload) in enumerate(messages):
            for each in reader.settle((number + 1) * 40 * MS - 1):
                assert each.kind in ("boot", "reading", "image", "shown")
            reader.advance((number + 1) * 40 * MS, payload, kind=kind)
        reader.settle(2000 * MS)
        assert reader.end() == 0
        assert "is no message" not in reader.log
