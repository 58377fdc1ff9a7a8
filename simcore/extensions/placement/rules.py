"""What a device does by itself: keep its own answer, or ask.

A rule is a short text that a dispatcher sends. Devices in Python and firmware keep to the same
rules and make the same decisions, so all here is whole numbers: times in microseconds,
confidences per mille. Standard library only.

| rule | the device |
|---|---|
| `local` | computes and keeps its answer |
| `remote` | computes nothing, and asks |
| `both` | computes, and asks all the same |
| `confidence T` | computes; keeps an answer of at least T per mille, asks otherwise |
| `latency D` | computes; asks while a round trip is expected to take D ms at most |
"""

from __future__ import annotations

from typing import NamedTuple

PROBE = 8
"""Answers kept in a row because asking takes too long; then it asks once, to see."""
OUTSTANDING = 16
"""Images without a result that a device remembers; firmware has no room for more."""
MOST = 2**32 - 1
"""Greatest number of a device's image; firmware counts them in 32 bits."""
_LONGEST = 3_600_000
"""Greatest number of milliseconds in a rule: an hour."""

_PLAIN = frozenset({"local", "remote", "both"})
_LIMITS = {"confidence": 1000, "latency": _LONGEST}


class BadRule(ValueError):
    """A text that is no rule."""


class Rule(NamedTuple):
    """A rule.

    Attributes:
        kind: the first word.
        limit: the number behind it: per mille of `confidence`, ms of `latency`, else 0.
    """

    kind: str
    limit: int = 0

    @property
    def computes(self) -> bool:
        """Whether the device computes an answer of its own."""
        return self.kind != "remote"


def parse(text: str) -> Rule:
    """Read a rule.

    Raises:
        BadRule: it is none.
    """
    kind, _, number = text.partition(" ")
    if kind in _PLAIN and not number:
        return Rule(kind)
    digits = number.isascii() and number.isdigit() and len(number) < 8
    if digits and int(number) <= _LIMITS.get(kind, -1):
        return Rule(kind, int(number))
    raise BadRule(
        f"{text!r} is no rule: write local, remote, both, confidence 0 to confidence 1000 (per "
        f"mille), or latency 0 to latency {_LONGEST} (ms)"
    )


class Verdict(NamedTuple):
    """What a device does with one image."""

    asks: bool
    why: str


_ALWAYS = {
    "local": Verdict(asks=False, why="rule"),
    "remote": Verdict(asks=True, why="rule"),
    "both": Verdict(asks=True, why="rule"),
}
_SURE = Verdict(asks=False, why="sure")
_UNSURE = Verdict(asks=True, why="unsure")
_IN_TIME = Verdict(asks=True, why="in time")
_LATE = Verdict(asks=False, why="late")
_PROBE = Verdict(asks=True, why="probe")


class Keeper:
    """Keeps to a rule, for one life of a device.

    Called in this order for each image: `sample` when it is taken, `decide` once it is computed,
    `asked` if it is sent; `answered` when a result comes.

    Args:
        text: the rule.

    Attributes:
        text: the rule in force.
        rule: the same, read.
        round_trip: smoothed time from asking to the result, us; 0 until one was observed.

    Raises:
        BadRule: the text is none.
    """

    def __init__(self, text: str) -> None:
        self.text = ""
        self.take(text)

    def take(self, text: str) -> None:
        """Take a rule. The one in force already changes nothing; another starts anew.

        Raises:
            BadRule: it is none; the one in force stays.
        """
        if text != self.text:
            self.rule = parse(text)
            self.text = text
            self.round_trip = 0
            self._kept = 0
            self._outstanding: dict[int, int] = {}
            self._always = _ALWAYS.get(self.rule.kind)
            self._watches = self.rule.kind == "latency"

    def sample(self, now: int) -> None:
        """An image is taken at `now` (us): round trips that take too long by then count double."""
        if self._outstanding:
            limit = self.rule.limit * 1000
            overdue = [n for n, sent in self._outstanding.items() if now - sent > limit]
            for n in overdue:
                del self._outstanding[n]
                self._observe(2 * limit)

    def decide(self, confidence: int) -> Verdict:
        """Whether to ask about an image, given the confidence (per mille) of its own answer."""
        if self._always is not None:
            return self._always
        if not self._watches:
            return _SURE if confidence >= self.rule.limit else _UNSURE
        if self.round_trip <= self.rule.limit * 1000:
            self._kept = 0
            return _IN_TIME
        if self._kept >= PROBE:
            self._kept = 0
            return _PROBE
        self._kept += 1
        return _LATE

    def asked(self, n: int, now: int) -> None:
        """The device's n-th image is sent at `now` (us)."""
        if self._watches:
            if len(self._outstanding) >= OUTSTANDING:
                del self._outstanding[next(iter(self._outstanding))]
            self._outstanding[n] = now

    def answered(self, n: int, now: int) -> None:
        """The result of the n-th image comes at `now` (us)."""
        if self._watches:
            sent = self._outstanding.pop(n, None)
            if sent is not None:
                self._observe(now - sent)

    def _observe(self, time: int) -> None:
        self.round_trip = smoothed(self.round_trip, time) if self.round_trip else time


def smoothed(before: int, time: int) -> int:
    """A round trip after one more observation: an eighth of the way, rounded towards `before`.

    As the smoothed round-trip time of RFC 6298, in whole numbers.
    """
    difference = time - before
    return before + (difference // 8 if difference >= 0 else -(-difference // 8))


class Setup(NamedTuple):
    """What a dispatcher tells a device that has started; as text, commands with `; ` between.

    Attributes:
        rule: the rule to keep to.
        next: which image to take first.
        period: time between samples, ms.
        quiet: whether results are not to be acknowledged.
        first: time to the first sample, ms; None: a period.
    """

    rule: str
    next: int = 0
    period: int = 1000
    quiet: bool = False
    first: int | None = None

    def text(self) -> str:
        """As it is sent."""
        first = "" if self.first is None else f"; first {self.first}"
        quiet = "; quiet" if self.quiet else ""
        return f"rule {self.rule}; next {self.next}; period {self.period}{first}{quiet}"


def read_setup(text: str) -> Setup | None:
    """Read what a dispatcher sent; None without a rule, or with a number that is none.

    Commands that are not known are passed over: firmware may understand more.
    """
    found: dict[str, str] = {}
    for command in text.split(";"):
        word, _, rest = command.strip().partition(" ")
        found[word] = rest
    try:
        parse(found["rule"])
        setup = Setup(
            found["rule"], int(found.get("next", 0)), int(found.get("period", 1000)),
            "quiet" in found, int(found["first"]) if "first" in found else None,
        )  # fmt: skip
    except (KeyError, ValueError):
        return None
    possible = setup.period > 0 and min(setup.next, setup.first or 0) >= 0
    return setup if possible else None
