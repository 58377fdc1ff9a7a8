"""Faults: links that go down or degrade, nodes that are cut off or crash.

Timed, drawn from streams of their own where a time is random, recorded, and part of the
digest. A fault acts before everything else at its instant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from simcore.distributions import SCHEMA as TIME
from simcore.distributions import parse
from simcore.errors import UnitError, UsageError
from simcore.network import Disturbance
from simcore.payload import freeze
from simcore.plugins import Determinism, Path
from simcore.streams import stream
from simcore.units import duration, rate, ratio

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.scenario.check import Checker

_TRUE = {"const": True}
_WHEN: dict[str, Any] = {
    "at": {
        **TIME,
        "description": "When it begins: a virtual time, or a distribution that it is drawn from.",
    },
    "for": {**TIME, "description": "How long it lasts; to the end of the run without it."},
}
_LINK: dict[str, Any] = {
    "type": "array",
    "items": {"type": "string", "format": "node"},
    "minItems": 2,
    "maxItems": 2,
    "description": "The two ends, nodes or groups; every link between them, in both directions.",
}


SCHEMA: dict[str, Any] = {
    "type": "array",
    "description": "What goes wrong, and when.",
    "examples": [[{"at": "20s", "for": "5s", "link": ["gateway", "cloud"], "down": True}]],
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["at"],
        "oneOf": [
            {"required": ["link", "down"]},
            {"required": ["link", "degraded"]},
            {"required": ["node", "crash"]},
            {"required": ["node", "offline"]},
        ],
        "properties": {
            **_WHEN,
            "link": _LINK,
            "down": {
                **_TRUE,
                "description": "Nothing gets through: what enters, is being transmitted or waits "
                "is lost (link_down); what has left the sender still arrives.",
            },
            "degraded": {
                "type": "object",
                "description": "The link gets worse.",
                "additionalProperties": False,
                "minProperties": 1,
                "properties": {
                    "loss": {
                        "type": ["string", "number"],
                        "format": "ratio",
                        "description": "Additional loss.",
                    },
                    "delay": {
                        "type": "string",
                        "format": "duration",
                        "description": "Additional delay.",
                    },
                    "rate": {
                        "type": "string",
                        "format": "rate",
                        "description": "Rate instead of the link's own.",
                    },
                },
            },
            "node": {
                "type": "string",
                "format": "node",
                "description": "A node, or a group: all its nodes.",
            },
            "crash": {
                **_TRUE,
                "description": "The node stops; with `for` it starts anew afterwards. Messages to "
                "it, or over it, are lost meanwhile (node_down).",
            },
            "offline": {
                **_TRUE,
                "description": "The node is cut off, and lives: its radio is switched off, or its "
                "cables are pulled out. As if all its links were down (link_down).",
            },
        },
    },
}


class Faults:
    """Plug-in `faults:`."""

    name = "faults"
    determinism: Determinism = "exact"
    schema: Mapping[str, Any] = SCHEMA

    def check(self, value: Any, path: Path, checker: Checker) -> None:
        """Report unknown nodes, links that do not exist, and times that cannot be read."""
        for index, fault in enumerate(value):
            place = (*path, index)
            for key in ("at", "for"):
                if key in fault:
                    try:
                        parse(fault[key], checker.base)
                    except UnitError as error:
                        checker.problem((*place, key), str(error))
            if not checker.incomplete(place):
                _check_keys(fault, place, checker)
            if "node" in fault:
                known = checker.check_node_reference((*place, "node"), fault["node"])
                if known and "offline" in fault:
                    self._check_offline(place, checker)
            if "link" in fault:
                self._check_link(fault, place, checker)

    def _check_offline(self, place: Path, checker: Checker) -> None:
        """Report a network that has nothing to cut a node off from."""
        network = checker.data.get("network", {})
        if not isinstance(network, Mapping) or checker.incomplete(("network",)):
            return
        model = checker.plugins.netmodels.get(network.get("model", "direct"))
        if not hasattr(model, "check_link") and "links" not in network:
            checker.problem(
                (*place, "offline"),
                f"a network of model {network.get('model', 'direct')!r} has no links",
                at_key=True,
            )

    def _check_link(self, fault: Mapping[str, Any], place: Path, checker: Checker) -> None:
        ends = fault["link"]
        known = [
            checker.check_node_reference((*place, "link", i), end) for i, end in enumerate(ends)
        ]
        network = checker.data.get("network", {})
        if not isinstance(network, Mapping) or not all(known) or checker.incomplete(("network",)):
            return
        model = checker.plugins.netmodels.get(network.get("model", ""))
        check_link = getattr(model, "check_link", None)
        if check_link is not None:
            check_link(network, fault, place, checker)
            return
        links = network.get("links")
        if links is None:
            checker.problem(
                (*place, "link"),
                f"a network of model {network.get('model', 'direct')!r} has no links",
            )
            return
        found = [entry for entry in links if linked(ends, link_ends(entry), checker.groups)]
        if not found:
            checker.problem((*place, "link"), f"no link connects {ends[0]} and {ends[1]}")
        elif "rate" in (fault.get("degraded") or {}) and not any(
            "rate" in entry for entry in found
        ):
            checker.problem(
                (*place, "degraded", "rate"), "has no effect: the link has no rate of its own"
            )

    def attach(self, federation: Federation, value: Any) -> None:
        """Schedule all faults of a run."""
        for index, fault in enumerate(value):
            rng = stream(federation.seed, "faults", str(index))
            base = federation.scenario.base
            begin = parse(fault["at"], base).sampler(rng)()
            end = begin + parse(fault["for"], base).sampler(rng)() if "for" in fault else None
            effects = _effects(federation, fault, f"faults[{index}]")
            for target, kind, detail, start, stop in effects:
                _schedule(federation, "begin", begin, target, kind, detail, start)
                if end is not None:
                    _schedule(federation, "end", end, target, kind, detail, stop)

    def doctor(self) -> tuple[bool, str]:
        """Always works."""
        return True, "built in"


def _check_keys(fault: Mapping[str, Any], place: Path, checker: Checker) -> None:
    """Report keys of two sorts of fault in one."""
    for key, needed in (
        ("crash", "node"),
        ("offline", "node"),
        ("down", "link"),
        ("degraded", "link"),
    ):
        if key in fault and needed not in fault:
            checker.problem((*place, key), f"{key!r} has no effect without {needed!r}")
    if "node" in fault and "crash" not in fault and "offline" not in fault:
        checker.problem((*place, "node"), "'node' has no effect without 'crash' or 'offline'")
    if "link" in fault and "down" not in fault and "degraded" not in fault:
        checker.problem((*place, "link"), "'link' has no effect without 'down' or 'degraded'")


def link_ends(entry: Mapping[str, Any]) -> tuple[str, str] | None:
    """The two ends of an entry of `links`, or None where it is incomplete."""
    first, second = entry.get("between") or (entry.get("from"), entry.get("to"))
    return None if first is None or second is None else (first, second)


def linked(ends: Any, other: tuple[str, str] | None, groups: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether two pairs of names have a pair of nodes in common, in either direction."""
    if other is None:
        return False
    a, b, c, d = (set(groups.get(name, (name,))) for name in (*ends, *other))
    return bool((a & c and b & d) or (a & d and b & c))


_Effect = tuple[str, str, str, Callable[[], None], Callable[[], None]]


def _effects(federation: Federation, fault: Mapping[str, Any], place: str) -> list[_Effect]:
    network = federation.network
    if "node" in fault:
        nodes = [federation.nodes[spec.name] for spec in federation.scenario.select(fault["node"])]
        if "crash" in fault:
            return [(node.name, "node_crash", "{}", node.crash, node.restart) for node in nodes]
        return [
            (
                node.name,
                "node_offline",
                "{}",
                partial(network.take_offline, node),
                partial(network.bring_online, node),
            )
            for node in nodes
        ]
    degraded = fault.get("degraded", {})
    disturbance = Disturbance(
        down="down" in fault,
        loss=ratio(degraded.get("loss", 0.0)),
        delay=duration(degraded.get("delay", "0ns")),
        rate=rate(degraded["rate"]) if "rate" in degraded else None,
    )
    kind = "link_down" if disturbance.down else "link_degraded"
    detail = freeze(
        {
            key: value
            for key, value in (
                ("delay", disturbance.delay),
                ("loss", disturbance.loss),
                ("rate", disturbance.rate),
            )
            if value
        }
    )
    effects: list[_Effect] = []
    existing = network.lookahead()
    ends = [[spec.name for spec in federation.scenario.select(name)] for name in fault["link"]]
    pairs = [(a, b) for a in ends[0] for b in ends[1]]
    for source, destination in dict.fromkeys([*pairs, *((b, a) for a, b in pairs)]):
        if (source, destination) in existing:
            link = (source, destination, disturbance)
            if (why := network.refuses(*link)) is not None:
                raise UsageError(f"{place}: between {source} and {destination}: {why}")
            effects.append(
                (
                    f"{source}->{destination}",
                    kind,
                    detail,
                    partial(network.disturb, *link),
                    partial(network.restore, *link),
                )
            )
    if not effects:
        raise UsageError(f"{place}.link: nothing joins {fault['link'][0]} and {fault['link'][1]}")
    return effects


def _schedule(
    federation: Federation,
    phase: str,
    at: int,
    target: str,
    kind: str,
    detail: str,
    act: Callable[[], None],
) -> None:
    def happen() -> None:
        federation.recorder.fault(at, phase, kind, target, detail)
        act()

    if at < federation.end:
        federation.at(at, happen)
