"""The built-in policies, asked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simcore import ModelError, UsageError
from simcore.extensions.placement.policy import Answer, Ask, Seen, make_policy
from simcore.extensions.placement.rules import parse

MS = 10**6


def policy(**config: Any) -> Any:
    return make_policy(config, Path())


def ask(
    answers: dict[str, float] | None = None,
    asked: tuple[str, ...] = (),
    *,
    now: int = 0,
    elapsed: int = 0,
    trips: dict[str, int] | None = None,
    places: tuple[str, ...] = ("edge", "cloud"),
) -> Ask:
    """An image with answers of these confidences so far."""
    given = {place: Answer(7, confidence) for place, confidence in (answers or {}).items()}
    place = next((each for each in ("cloud", "edge", "device") if each in given), None)
    label, confidence = given[place] if place else (None, None)
    waiting = dict.fromkeys(places, 0)
    known = {"device": None, "edge": None, "cloud": None} | (trips or {})
    return Ask("meter-3", 7, now, elapsed, place, label, confidence, given, asked, known, waiting)


@pytest.mark.parametrize(
    ("config", "rule"),
    [
        ({"policy": "device"}, "local"),
        ({"policy": "edge"}, "remote"),
        ({"policy": "cloud"}, "remote"),
        ({"policy": "confidence", "threshold": "80%"}, "confidence 800"),
        ({"policy": "confidence", "threshold": 0.55}, "confidence 550"),
        ({"policy": "confidence", "threshold": {"device": "79.95%", "edge": 1}}, "confidence 800"),
        ({"policy": "latency", "deadline": "150ms"}, "latency 150"),
    ],
)
def test_rules(config, rule):
    assert policy(**config).rule("meter-3") == rule
    parse(rule)


def test_device_asks_nobody():
    found = policy(policy="device")
    assert found.decide(ask({"device": 0.1})) == ("device", "device only")
    assert found.decide(ask()) == (None, "device only")


@pytest.mark.parametrize("place", ["edge", "cloud"])
def test_one_place_only(place):
    found = policy(policy=place)
    assert found.decide(ask()) == (place, f"{place} only")
    assert found.decide(ask({"device": 0.9})) == (place, f"{place} only")
    assert found.decide(ask({place: 0.2}, (place,))) == (place, f"{place} only")
    assert found.decide(ask({}, (place,))) == (None, f"no answer of {place}")
    assert found.decide(ask({"device": 0.2}, (place,))) == ("device", f"no answer of {place}")


def test_confidence_goes_up_until_it_is_sure():
    found = policy(policy="confidence", threshold={"device": "80%", "edge": "90%"})
    assert found.decide(ask({"device": 0.8})) == ("device", "sure 0.8 >= 0.8")
    assert found.decide(ask({"device": 0.799})) == ("edge", "confidence 0.799 < 0.8")
    assert found.decide(ask()) == ("edge", "no answer yet")
    sure = {"device": 0.5, "edge": 0.98}
    assert found.decide(ask(sure, ("edge",))) == ("edge", "sure 0.98 >= 0.9")
    unsure = {"device": 0.5, "edge": 0.8999}
    assert found.decide(ask(unsure, ("edge",))) == ("cloud", "confidence 0.8999 < 0.9")
    both = ("edge", "cloud")
    assert found.decide(ask(unsure | {"cloud": 0.4}, both)) == ("cloud", "0.4, the last place")


def test_confidence_where_a_place_has_no_answer_or_does_not_exist():
    found = policy(policy="confidence", threshold="80%")
    assert found.decide(ask({}, ("edge",))) == ("cloud", "no answer of edge")
    assert found.decide(ask({}, ("edge", "cloud"))) == (None, "no answer of cloud")
    last = found.decide(ask({"device": 0.5}, ("edge", "cloud")))
    assert last == ("device", "confidence 0.5 < 0.8, the last place")
    alone = ask({"edge": 0.5}, ("edge",), places=("edge",))
    assert found.decide(alone) == ("edge", "confidence 0.5 < 0.8, the last place")


def test_latency_takes_the_highest_place_in_time():
    found = policy(policy="latency", deadline="150ms")
    assert found.decide(ask({"device": 0.9})) == ("cloud", "in time, 0 ms <= 150 ms")
    known = {"edge": 10 * MS, "cloud": 110 * MS, "device": 40 * MS}
    soon = ask({"device": 0.9}, trips=known, elapsed=20 * MS)
    assert found.decide(soon) == ("cloud", "in time, 110 ms <= 110 ms")
    later = ask({"device": 0.9}, trips=known, elapsed=21 * MS)
    assert found.decide(later) == ("edge", "in time, 10 ms <= 109 ms")
    late = ask({"device": 0.9}, trips=known, elapsed=125 * MS)
    assert found.decide(late) == ("device", "in time, 145 ms of 150 ms")
    over = ask({"device": 0.9}, trips=known, elapsed=141 * MS)
    assert found.decide(over) == ("device", "late, 161 ms of 150 ms")
    nothing = ask({}, trips=known, elapsed=141 * MS)
    assert found.decide(nothing) == ("edge", "late, and no answer yet")
    assert found.decide(ask({}, ("edge", "cloud"), elapsed=MS)) == (None, "late, and no answer yet")
    answered = ask({"edge": 0.9}, ("edge",), trips=known, elapsed=20 * MS)
    assert found.decide(answered).place == "cloud"
    assert found.decide(ask({"cloud": 0.9}, ("cloud",))).place == "cloud"


def test_latency_looks_again_at_a_place_that_was_slow():
    found = policy(policy="latency", deadline="150ms")
    slow = {"edge": 10 * MS, "cloud": 900 * MS}
    found.learn(Seen("meter-1", "cloud", 900 * MS, 1000 * MS))
    found.learn(Seen("meter-1", "edge", 10 * MS, 11_000 * MS))
    before = ask({"device": 0.5}, trips=slow, now=11_000 * MS)
    assert found.decide(before).place == "edge"
    after = ask({"device": 0.5}, trips=slow, now=11_001 * MS)
    assert found.decide(after) == ("cloud", "probe, not heard of for 10 s")
    assert found.decide(after).place == "edge"  # one at a time


# -- policies of one's own


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "mine.py").write_text(text)
    return tmp_path


def test_a_policy_of_ones_own_gets_its_config(tmp_path):
    base = written(
        tmp_path,
        "class Mine:\n"
        "    def __init__(self, config): self.limit = config['limit']\n"
        "    def rule(self, device): return 'remote'\n"
        "    def decide(self, ask): return ('edge', f'limit {self.limit}')\n",
    )
    config = {"policy": "mine.py:Mine", "config": {"limit": 3}, "edge": "e"}
    assert make_policy(config, base).decide(ask()) == ("edge", "limit 3")


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("", UsageError, "mine.py has no 'Mine'"),
        ("Mine = 3\n", UsageError, "the policy mine.py:Mine has no method 'rule'"),
        (
            "class Mine:\n    def rule(self, device): pass\n",
            UsageError,
            "the policy mine.py:Mine has no method 'decide'",
        ),
        (
            "from simcore.extensions.placement.policy import Policy\n"
            "class Mine(Policy):\n    def rule(self, device): pass\n",
            UsageError,
            "the policy mine.py:Mine has no method 'decide'",
        ),
        (
            "from simcore.extensions.placement.policy import OnDevice\n"
            "class Mine(OnDevice):\n    def __init__(self, config): config['x']\n",
            ModelError,
            "the policy mine.py:Mine raised KeyError: 'x'",
        ),
    ],
)
def test_a_policy_that_cannot_be_made(tmp_path, text, kind, message):
    base = written(tmp_path, text)
    with pytest.raises(kind, match=message):
        make_policy({"policy": "mine.py:Mine"}, base)
