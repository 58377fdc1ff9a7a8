"""The top-level key `placement`: which nodes take samples, who decides, and what is known of it.

All of it stands in one place, so that one word makes another experiment of the same scenario; the
dispatcher, which may live in a container, is handed what it has to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from simcore.plugins import Determinism, Path
from simcore.units import duration

from .account import Account
from .options import SCHEMA
from .policy import BUILT_IN, CLOUD, EDGE

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.scenario.check import Checker
    from simcore.scenario.model import Scenario

SERVICE = "placement"
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "edge": (EDGE,),
    "cloud": (CLOUD,),
    "confidence": (EDGE, "threshold"),
    "latency": ("deadline",),
}
"""Keys that a policy cannot do without. Those of others may be there: policies are compared."""
_GRAIN, _LONGEST = 1_000_000, 3_600_000_000_000
"""Of times (ns) that devices are told."""


class Placement:
    """Plug-in `placement:`."""

    name = "placement"
    determinism: Determinism = "exact"
    schema: Mapping[str, Any] = SCHEMA

    # -- before a run

    def check(self, value: Any, path: Path, checker: Checker) -> None:
        """Report nodes that are not there, a dispatcher that is none, and what a policy lacks."""
        devices: set[str] = set()
        for place, name in _named(value.get("devices", ()), (*path, "devices")):
            if checker.check_node_reference(place, name):
                devices |= set(checker.members(name))
        seen: dict[str, str] = {}
        for key in ("dispatcher", EDGE, CLOUD):
            if key in value:
                _check_single(key, value[key], (*path, key), devices, seen, checker)
        if "dispatcher" in value and not checker.incomplete((*path, "dispatcher")):
            _check_dispatcher(value, path, checker)
        _check_policy(value, path, checker)
        if "truth" in value:
            checker.check_callable((*path, "truth"), value["truth"], kind="function")
        for key in ("deadline", "period"):
            time = duration(value.get(key, "1ms"))
            if time % _GRAIN or not _GRAIN <= time <= _LONGEST:
                checker.problem((*path, key), "is to be whole milliseconds, from 1ms to 1h")

    def configure(self, value: Any, scenario: Scenario) -> Mapping[str, Mapping[str, Any]]:
        """What the dispatcher's `config` has as well: all that stands here, and the broker."""
        config = {"placement": value}
        if "mqtt" in value and "mqtt" in scenario.extensions:
            config["broker"] = scenario.extensions["mqtt"]["broker"]
        return {value["dispatcher"]: config}

    # -- in a run

    def attach(self, federation: Federation, value: Any) -> None:
        """Have it told what becomes of each inference."""
        scenario = federation.scenario
        names = dict.fromkeys(
            spec.name for _, name in _named(value["devices"], ()) for spec in scenario.select(name)
        )
        devices = [federation.nodes[name] for name in names]
        Account(federation, devices, value["dispatcher"], value.get("truth"))

    def doctor(self) -> tuple[bool, str]:
        """Always works."""
        return True, "built in"


def _named(value: str | list[str], path: Path) -> Iterable[tuple[Path, str]]:
    """The names in a text or a list, and where they stand."""
    if isinstance(value, str):
        return [(path, value)]
    return [((*path, index), name) for index, name in enumerate(value)]


def _check_single(
    key: str, name: str, place: Path, devices: set[str], seen: dict[str, str], checker: Checker
) -> None:
    """Report what is to be one node of its own, and is not."""
    if not checker.check_node_reference(place, name):
        return
    members = checker.members(name)
    if members and members != (name,):
        checker.problem(place, f"{name} is a group, and {key!r} is one node")
    elif name in devices:
        checker.problem(place, f"{name} is one of the 'devices'")
    elif name in seen:
        checker.problem(place, f"{name} is the {seen[name]!r} already")
    else:
        seen[name] = key


def _check_dispatcher(value: Mapping[str, Any], path: Path, checker: Checker) -> None:
    name = value["dispatcher"]
    node = checker.data.get("nodes", {}).get(name)
    if isinstance(node, Mapping) and not checker.incomplete(("nodes", name)):
        service = node.get("service", "")
        if service != SERVICE and ":" not in service:
            checker.problem(
                (*path, "dispatcher"), f"{name} is no dispatcher: give it 'service: {SERVICE}'"
            )
    if "mqtt" not in value or checker.incomplete(("mqtt",)):
        return
    clients = checker.data.get("mqtt", {}).get("clients", {})
    if name not in clients:
        checker.problem(
            (*path, "mqtt"),
            f"{name} is no client of an MQTT broker: add it to the scenario's mqtt.clients, as in "
            f"{name}: {{}}",
            at_key=True,
        )


def _check_policy(value: Mapping[str, Any], path: Path, checker: Checker) -> None:
    policy = value.get("policy")
    if policy is None:
        return
    place = (*path, "policy")
    if ":" in policy:
        checker.check_callable(place, policy, kind="class")
        return
    if policy not in BUILT_IN:
        checker.problem(
            place,
            f"unknown policy {policy!r}: write file.py:Class, or one of {', '.join(BUILT_IN)}",
            policy,
            BUILT_IN,
        )
        return
    for key in _NEEDS.get(policy, ()):
        if key not in value and not checker.incomplete((*path, key)):
            checker.problem(place, f"the policy {policy} needs {key!r}")
    if policy == "latency" and EDGE not in value and CLOUD not in value:
        checker.problem(place, "the policy latency needs 'edge' or 'cloud'")
