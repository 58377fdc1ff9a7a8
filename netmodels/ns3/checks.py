"""What can be wrong in `network: {model: ns3}` beyond its schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simcore.units import duration

from . import wheel
from .keys import MODES, NEEDED, OF_KIND, ONLY_OWN, STANDARD, is_whole
from .plan import segments

if TYPE_CHECKING:
    from simcore.plugins import Path
    from simcore.scenario.check import Checker

MAX_SHARED = 256
MAX_SEGMENTS = 60_000
SAID_BY_SEGMENTS = {
    "ns3::PointToPointNetDevice::DataRate": "rate",
    "ns3::PointToPointChannel::Delay": "delay",
    "ns3::CsmaChannel::DataRate": "rate",
    "ns3::CsmaChannel::Delay": "delay",
    "ns3::DropTailQueue<Packet>::MaxSize": "queue",
}
"""Attributes that each segment of a kind is given, by the key that says it."""
_LAYOUTS = ("circle", "disc", "grid")


def check_network(value: Mapping[str, Any], path: Path, checker: Checker) -> None:
    """Report what is unknown, missing, without effect or impossible."""
    if "topology" in value:
        _check_topology(value, path, checker)
    else:
        for key in ONLY_OWN:
            if key in value:
                checker.problem(
                    (*path, key), f"{key!r} has no effect without 'topology'", at_key=True
                )
    whole = not checker.incomplete((*path, "segments"))
    for index, entry in enumerate(value.get("segments", ())):
        whole &= _check_segment(entry, (*path, "segments", index), checker)
    known: set[str] | None = None
    if whole and "segments" in value:
        known = _check_together(value, path, checker)
    for name, how in value.get("positions", {}).items():
        _check_position(name, how, (*path, "positions", name), checker)
    for index, flow in enumerate(value.get("tcp", ())):
        for key in ("from", "to"):
            if key in flow:
                checker.check_node_reference((*path, "tcp", index, key), flow[key])
    if known is not None and isinstance(pcap := value.get("pcap"), list):
        for index, name in enumerate(pcap):
            if name not in known:
                checker.problem(
                    (*path, "pcap", index), f"there is no segment {name!r}", name, sorted(known)
                )
    if "segments" in value:
        for name in value.get("defaults", {}):
            if name in SAID_BY_SEGMENTS:
                checker.problem(
                    (*path, "defaults", name),
                    f"has no effect: segments say it with {SAID_BY_SEGMENTS[name]!r}",
                    at_key=True,
                )
    if "give_up" in value and duration(value["give_up"]) == 0:
        checker.problem((*path, "give_up"), "must be more than 0")
    for key in ("start_timeout", "timeout"):
        if key in value and duration(value[key]) == 0:
            checker.problem((*path, key), "must be more than 0")


def _check_topology(value: Mapping[str, Any], path: Path, checker: Checker) -> None:
    """Report a function that is not there, and what it says itself."""
    checker.check_callable((*path, "topology"), value["topology"], "function")
    if "positions" in value:
        checker.problem(
            (*path, "positions"),
            "'positions' has no effect beside 'topology', whose function places nodes",
            at_key=True,
        )
    trouble = wheel.lacks_bindings()
    if trouble is not None:
        checker.problem((*path, "topology"), trouble)


def _check_segment(entry: Mapping[str, Any], place: Path, checker: Checker) -> bool:
    """Report what is wrong with one entry; whether it can be used."""
    kind = entry.get("kind")
    if kind is None or checker.incomplete(place):
        return False
    good = True
    for key in entry:
        if key not in OF_KIND[kind] and key not in ("kind", "name", "loss", "bit_errors"):
            good = False
            checker.problem(
                (*place, key), f"{key!r} has no effect on a segment of kind {kind}", at_key=True
            )
    missing = [key for key in NEEDED[kind] if key not in entry]
    if missing:
        good = False
        checker.problem(place, f"a segment of kind {kind} needs {' and '.join(map(repr, missing))}")
    modes = MODES[entry.get("standard", STANDARD)]
    if kind == "wifi" and entry.get("mode", modes[0]) not in modes:
        checker.problem(
            (*place, "mode"),
            f"{entry['mode']!r} is no mode of {entry.get('standard', STANDARD)}",
            entry["mode"],
            modes,
        )
    for key in ("between", "nodes"):
        for index, name in enumerate(entry.get(key, ())):
            good &= checker.check_node_reference((*place, key, index), name)
            good &= bool(checker.members(name))  # not known where 'nodes' is wrong itself
    for key in ("access_point", "coordinator"):
        if key in entry and key in OF_KIND[kind]:
            known = checker.check_node_reference((*place, key), entry[key])
            members = len(checker.members(entry[key]))
            if known and members > 1:
                known = False
                checker.problem((*place, key), f"{entry[key]} is a group: name one of its nodes")
            good &= known and members == 1
    return good and _has_two(entry, place, checker)


def _has_two(entry: Mapping[str, Any], place: Path, checker: Checker) -> bool:
    """Report a segment that joins nothing."""
    if "between" in entry:
        first, second = (set(checker.members(name)) for name in entry["between"])
        if len(first | second) < 2:
            checker.problem((*place, "between"), "connects a node with itself")
            return False
        return True
    ends = [*entry.get("nodes", ()), *([entry["access_point"]] if "access_point" in entry else ())]
    if len({node for name in ends for node in checker.members(name)}) < 2:
        checker.problem((*place, "nodes"), "a segment joins at least two nodes")
        return False
    return True


def _check_together(value: Mapping[str, Any], path: Path, checker: Checker) -> set[str]:
    """Report segments of one name, and too many; the names that entries have."""
    names: dict[str, int] = {}
    for index, entry in enumerate(value["segments"]):
        name = entry.get("name", f"{entry['kind']}-{index}")
        if names.setdefault(name, index) != index:
            checker.problem(
                (*path, "segments", index, *(("name",) if "name" in entry else ())),
                f"a second segment {name!r}: segments[{names[name]}] is the first",
            )
    found = segments(value, _Groups(checker))
    shared = sum(len(each.nodes) > 2 for each in found)
    if shared > MAX_SHARED or len(found) > MAX_SEGMENTS:
        checker.problem(
            (*path, "segments"),
            f"stands for {len(found)} segments, {shared} of them of more than two nodes: "
            f"{MAX_SEGMENTS} and {MAX_SHARED} are possible",
        )
    joined = {node for each in found for node in each.nodes}
    for name in checker.groups:
        alone = [node for node in checker.members(name) if node not in joined]
        if alone:
            checker.problem((*path, "segments"), f"{alone[0]} is on no segment")
    return set(names)


def _check_position(name: str, how: Any, place: Path, checker: Checker) -> None:
    if not checker.check_node_reference(place, name) or not isinstance(how, Mapping):
        return
    if checker.incomplete(place):
        return
    layouts = [key for key in _LAYOUTS if key in how]
    if len(layouts) != 1:
        checker.problem(place, f"needs one of {', '.join(_LAYOUTS)}")


def check_fault(
    value: Mapping[str, Any], fault: Mapping[str, Any], path: Path, checker: Checker
) -> None:
    """Report a fault's `link` that no segment joins, and what it cannot change."""
    if "topology" in value:
        return  # which channels there are shows when the network is there
    whole = [entry for entry in value.get("segments", ()) if is_whole(entry)]
    if len(whole) != len(value.get("segments", ())):
        return  # that is reported
    ends = fault["link"]
    first, second = (set(checker.members(end)) for end in ends)
    kinds = {
        each.kind
        for each in segments({"segments": whole}, _Groups(checker))
        if any(
            (a in first and b in second) or (a in second and b in first) for a, b in each.pairs()
        )
    }
    if not kinds:
        checker.problem((*path, "link"), f"no segment joins {ends[0]} and {ends[1]}")
    for key in ("delay", "rate"):
        if key in (fault.get("degraded") or {}) and kinds and "p2p" not in kinds:
            checker.problem(
                (*path, "degraded", key),
                f"has no effect: only a p2p segment changes its {key} while it runs",
                at_key=True,
            )


class _Groups(dict[str, tuple[str, ...]]):
    """Names of nodes by group; none where `nodes` is wrong itself."""

    def __init__(self, checker: Checker) -> None:
        super().__init__()
        self._checker = checker

    def __missing__(self, name: str) -> tuple[str, ...]:
        return self._checker.members(name)
