"""What an expectation is once read: a tree of small frozen parts that print in normal form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

COUNTS = ("sent", "delivered", "lost", "in_flight")
REASONS = ("loss", "queue_full", "link_down", "node_down")
SERIES = ("latency", "network", "queueing", "computing", "end_to_end")
FUNCTIONS = ("p50", "p90", "p95", "p99", "mean", "min", "max", "count", "sum")
RATIOS = {"accuracy": "right", "share": "placed", "in_time": "in_time"}
"""Functions of inferences, and the truth values whose mean each is."""
MEASURES = (
    "latency", "sampling", "radio", "wan", "lan", "queueing", "computing", "other",
    "size", "uplink", "downlink", "energy", "confidence",
)  # fmt: skip
PLACES = ("device", "edge", "cloud")
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
}

# A dimension is the exponents of (time, size, rate, energy); None is unknown, goes with anything.
Dimension = tuple[int, int, int, int] | None
PLAIN: Dimension = (0, 0, 0, 0)
TIME: Dimension = (1, 0, 0, 0)
SIZE: Dimension = (0, 1, 0, 0)
RATE: Dimension = (0, 0, 1, 0)
ENERGY: Dimension = (0, 0, 0, 1)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Literal:
    """A number; `text` is how it was written, without spaces."""

    value: float
    dimension: Dimension
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Count:
    """How many messages were sent, delivered, lost (for one reason), or are in flight."""

    what: str
    reason: str | None = None
    kind: str | None = None

    def __str__(self) -> str:
        reason = f".{self.reason}" if self.reason else ""
        if self.kind is None:
            return self.what + reason
        quoted = self.what == "lost" and self.reason is None and self.kind in REASONS
        return f"{self.what}{reason}.{_quote(self.kind, force=quoted)}"


@dataclass(frozen=True, slots=True)
class Value:
    """A statistic of a series: of a part of the latency, or of a measurement (`record`)."""

    function: str
    series: str
    name: str | None = None

    def __str__(self) -> str:
        name = "" if self.name is None else f".{_quote(self.name)}"
        return f"{self.function}({self.series}{name})"


@dataclass(frozen=True, slots=True)
class Inferred:
    """A statistic of a measure of inferences, or one of `RATIOS`; of all places or of one."""

    function: str
    measure: str
    place: str | None = None

    def __str__(self) -> str:
        measure = "" if self.function in RATIOS else f".{self.measure}"
        place = "" if self.place is None else f".{self.place}"
        return f"{self.function}(inference{measure}{place})"

    @property
    def is_share(self) -> bool:
        """Whether its value lies between 0 and 1."""
        single = self.function not in ("count", "sum")
        return self.function in RATIOS or (single and self.measure == "confidence")

    @property
    def dimension(self) -> Dimension:
        """Of its value."""
        if self.function in (*RATIOS, "count") or self.measure == "confidence":
            return PLAIN
        if self.measure == "energy":
            return ENERGY
        return SIZE if self.measure in ("size", "uplink", "downlink") else TIME


@dataclass(frozen=True, slots=True)
class Negative:
    """A value with its sign changed."""

    operand: Node

    def __str__(self) -> str:
        return f"-{_wrap(self.operand, 3)}"


@dataclass(frozen=True, slots=True)
class Operation:
    """Two values joined by + - * or /."""

    operator: str
    left: Node
    right: Node

    def __str__(self) -> str:
        level = _level(self)
        return f"{_wrap(self.left, level)} {self.operator} {_wrap(self.right, level + 1)}"


Term = Count | Value | Inferred
Node = Literal | Term | Negative | Operation


def _level(node: Node) -> int:
    """How tightly a node binds when printed: 1 sums, 2 products, 3 all else."""
    if isinstance(node, Operation):
        return 1 if node.operator in "+-" else 2
    return 3


def _wrap(node: Node, level: int) -> str:
    return f"({node})" if _level(node) < level else str(node)


def _quote(name: str, force: bool = False) -> str:
    if _IDENTIFIER.fullmatch(name) and not force:
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True, slots=True)
class Expectation:
    """A comparison that a run passes or fails; `str()` prints it in normal form."""

    left: Node
    comparison: str
    right: Node
    dimension: Dimension
    text: str = field(compare=False)
    """As written in the scenario."""

    def __str__(self) -> str:
        return f"{self.left} {self.comparison} {self.right}"

    def terms(self) -> tuple[Term, ...]:
        """What it asks of the run, each once, in order of appearance."""
        return tuple(dict.fromkeys([*terms_of(self.left), *terms_of(self.right)]))


def terms_of(node: Node) -> Iterator[Term]:
    """What a value asks of the run, in order of appearance."""
    if isinstance(node, Operation):
        yield from terms_of(node.left)
        yield from terms_of(node.right)
    elif isinstance(node, Negative):
        yield from terms_of(node.operand)
    elif not isinstance(node, Literal):
        yield node
