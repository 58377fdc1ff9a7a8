"""Scenarios made of Python objects, and runs told as text.

The tests of the core say what nodes do in the test itself and compare whole traces. So a
scenario is built here without its YAML, and a run is told by the very records that its digest
is computed from, one a line:

    12ms a/1 > b reading {"v":1} (7B) sent 10ms: delivered
    12ms b measures temperature = 21.5
    20ms fault 1 begin link_down a->b {}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import simpy

from simcore import Fate, Federation, Plugins
from simcore.hosting import host, in_process
from simcore.node import Node
from simcore.participant import Advancing, InProcess, Kind
from simcore.payload import freeze
from simcore.plugins import Determinism
from simcore.protocol.service import ServiceHost
from simcore.results.digest import FAULT, MEASUREMENT, MESSAGE, Digest
from simcore.scenario.loader import configured
from simcore.scenario.model import NodeSpec, Scenario
from simcore.units import duration

MS = 10**6
S = 10**9


class Inline:
    """A backend whose models and services are given as objects."""

    name = "inline"
    determinism: Determinism = "exact"
    schema: Mapping[str, Any] = {"type": "object"}

    def check(self, value: Any, path: Any, checker: Any) -> None:
        """Nothing to check: no scenario file names it."""

    def attach(self, federation: Federation, spec: NodeSpec) -> Node:
        """A model for a generator function, a service for a class, neither for None."""
        does = spec.options["does"]
        if isinstance(does, Taking):
            return does.attach(federation, spec)
        if not isinstance(does, type):
            return Node(federation, spec, does)

        def make(life: int) -> ServiceHost:
            return ServiceHost(
                does(),
                name=spec.name,
                seed=federation.seed,
                config=spec.config,
                base=federation.scenario.base,
                workers=spec.options.get("workers", 1),
                queue=spec.options.get("queue"),
                freeze=freeze,
                life=life,
            )

        return in_process(federation, spec, make)

    def doctor(self) -> tuple[bool, str]:
        return True, "for tests"


@dataclass(frozen=True)
class Taking:
    """A node that takes part as a participant in simcore's own process.

    Attributes:
        kind: reactive or free_running.
        make: makes what is advanced, from the node's name, the number of its life, and when
            that begins (ns).
        shared: one participant for the whole group, made from the group's name.
    """

    kind: Kind
    make: Callable[[str, int, int], Advancing]
    grain: int = 1
    shared: bool = False

    def attach(self, federation: Federation, spec: NodeSpec) -> Node:
        name = spec.group if self.shared else spec.name

        def participant(life: int) -> InProcess:
            made = InProcess(name, lambda: self.make(name, life, made.born), self.kind, self.grain)
            return made

        return host(federation, spec, participant, kind=self.kind, shared=self.shared)


PLUGINS = Plugins(extra={"backends": {"inline": Inline()}})


def world(
    nodes: Mapping[str, Any],
    links: Sequence[Mapping[str, Any]] | None = None,
    *,
    lasts: str | int = "1s",
    seed: int = 1,
    routes: Sequence[Mapping[str, Any]] = (),
    faults: Sequence[Mapping[str, Any]] = (),
    network: Mapping[str, Any] | None = None,
    quantum: str | None = None,
    window: str | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> Scenario:
    """A scenario.

    Args:
        nodes: what each does: a generator function, a service class, None, or a mapping with
            `does` and any of count, config, tier, workers, queue.
        links: of a latency network; None is the direct network.
        lasts: the duration.
        network: instead of `links`, as in a scenario.
        extensions: further top-level keys.
    """
    specs: list[NodeSpec] = []
    groups: dict[str, tuple[NodeSpec, ...]] = {}
    for group, given in nodes.items():
        entry = dict(given) if isinstance(given, Mapping) else {"does": given}
        count = entry.get("count")
        members = [group] if count is None else [f"{group}-{i}" for i in range(count)]
        groups[group] = tuple(
            NodeSpec(
                name=name,
                group=group,
                index=index,
                order=len(specs) + index,
                tier=entry.get("tier", "device"),
                implementation="inline",
                options=entry,
                config=entry.get("config", {}),
            )
            for index, name in enumerate(members)
        )
        specs += groups[group]
    if network is None:
        network = {"model": "direct"}
    if links is not None:
        network = {"model": "latency", "links": list(links), "routes": list(routes)}
    scenario = Scenario(
        path=None,
        base=Path(),
        name="world",
        description="",
        seed=seed,
        duration=duration(lasts),
        nodes=tuple(specs),
        groups=groups,
        network=network,
        extensions={**({"faults": list(faults)} if faults else {}), **(extensions or {})},
        expect=(),
        resolved={},
        quantum=None if quantum is None else duration(quantum),
        window=None if window is None else duration(window),
    )
    return configured(scenario, PLUGINS)


def both(a: str, b: str, delay: Any = "1ms", **keys: Any) -> dict[str, Any]:
    """A link in both directions."""
    return {"between": [a, b], "delay": delay, **keys}


def one_way(a: str, b: str, delay: Any = "1ms", **keys: Any) -> dict[str, Any]:
    """A link in one direction."""
    return {"from": a, "to": b, "delay": delay, **keys}


class Transcript(Digest):
    """A digest that remembers what it was computed from."""

    def __init__(self, federation: Federation) -> None:
        super().__init__(federation.names)
        self.federation = federation
        self.rows: dict[int, list[tuple[Any, ...]]] = {FAULT: [], MESSAGE: [], MEASUREMENT: []}

    def update(self, sort: int, rows: Sequence[tuple[Any, ...]]) -> None:
        super().update(sort, rows)
        self.rows[sort] += rows

    def lines(self) -> list[tuple[Any, ...]]:
        """All records, in the order (time, node order, sort, counter), with names for numbers."""
        names = self.federation.names
        kinds = {number: kind for kind, number in self.federation.kinds.items()}
        found: list[tuple[tuple[int, ...], tuple[Any, ...]]] = []
        for at, source, number, destination, kind, size, text, sent, fate in self.rows[MESSAGE]:
            who = (names[source], number, names[destination], kinds[kind])
            line = (at, "message", *who, size, text, sent, Fate(fate).name.lower())
            found.append(((at, source, MESSAGE, number), line))
        for at, node, number, *rest in self.rows[MEASUREMENT]:
            line = (at, "measurement", names[node], number, *rest)
            found.append(((at, node, MEASUREMENT, number), line))
        for at, number, *rest in self.rows[FAULT]:
            found.append(((at, -1, FAULT, number), (at, "fault", number, *rest)))
        return [line for _, line in sorted(found)]


class Told(NamedTuple):
    """A run that is over."""

    digest: str
    lines: list[tuple[Any, ...]]
    """What the digest was computed from, as `Transcript.lines` puts it."""
    federation: Federation

    @property
    def text(self) -> str:
        """The whole trace, one record a line."""
        return "".join(f"{line_of(line)}\n" for line in self.lines)

    def messages(self, *, to: str | None = None) -> list[tuple[Any, ...]]:
        """Messages only: (at, source/number, destination, kind, size, payload, sent, fate)."""
        return [
            (line[0], f"{line[2]}/{line[3]}", *line[4:])
            for line in self.lines
            if line[1] == "message" and to in (None, line[4])
        ]

    def arrivals(self, to: str | None = None) -> list[tuple[int, str]]:
        """When what was delivered: (ns, id)."""
        return [(m[0], m[1]) for m in self.messages(to=to) if m[-1] == "delivered"]

    def measured(self, name: str) -> list[Any]:
        """Values of a measurement, in order."""
        return [line[6] for line in self.lines if line[1] == "measurement" and line[4] == name]


Drive = Callable[[Federation], Any]


def play(
    scenario: Scenario,
    drive: Drive | None = None,
    *,
    env: simpy.Environment | None = None,
    unit: str = "1ns",
    out: Path | None = None,
    plugins: Plugins = PLUGINS,
) -> Told:
    """Run a scenario to its end and tell what happened.

    Args:
        drive: has the environment run; to the scenario's end without it.
    """
    federation = Federation(scenario, env, unit=unit, out=out, plugins=plugins)
    transcript = federation.recorder.digest = Transcript(federation)
    with federation:
        if drive is None:
            federation.env.run(until=federation.calendar.env_time(federation.end))
        else:
            drive(federation)
    assert federation.digest is not None
    return Told(federation.digest, transcript.lines(), federation)


def ms(ns: int) -> str:
    """A virtual time, exactly."""
    whole, rest = divmod(ns, MS)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".") + "ms" if ns else "0"


def line_of(line: tuple[Any, ...]) -> str:
    """One record of the digest for people."""
    at, sort, *rest = line
    if sort == "message":
        source, number, destination, kind, size, payload, sent, fate = rest
        text = f"{source}/{number} > {destination} {kind} {_str(payload)} ({size}B) sent {ms(sent)}: {fate}"
    elif sort == "measurement":
        node, _, name, _, value = rest
        text = f"{node} measures {name} = {value}"
    else:
        number, phase, kind, target, detail = rest
        text = f"fault {number} {phase} {kind} {target} {detail}"
    return f"{ms(at)} {text}"


def _str(payload: Any) -> str:
    return payload if isinstance(payload, str) else msgspec.json.encode(payload).decode()
