"""The top-level key `mqtt`: which nodes are clients of which broker, and how that comes about.

A node's messages to the broker's node are taken by its endpoint, and what the broker sends to it is
taken there as well; nothing else of the node, or of the network between them, knows of MQTT.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from simcore.errors import SendError, UnitError
from simcore.extensions.faults import link_ends
from simcore.network import Path
from simcore.units import duration

from .endpoint import Endpoint
from .errors import Malformed
from .options import SCHEMA, options_of, tuning_of, wanted
from .packets import Connect, Subscribe
from .port import Port
from .timing import SECOND
from .topics import stray

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.message import Message
    from simcore.node import Node
    from simcore.plugins import Determinism
    from simcore.plugins import Path as Place
    from simcore.scenario.check import Checker

SERVICE = "mqtt_broker"
IMPLEMENTATION = "mosquitto"
_LONGEST = 65_535


class CommandPath(Path):
    """From a client's node to the broker's: what the node sends is for its endpoint."""

    def __init__(self, broker: Node, endpoint: Endpoint) -> None:
        self.receiver = broker
        self._endpoint = endpoint

    def enter(self, message: Message) -> None:
        """Have the endpoint take it."""
        self._endpoint.command(message)


class SegmentPath(Path):
    """From the broker's node to a client's: the endpoint receives, over the network's own path."""

    def __init__(self, broker: Node, node: Node, endpoint: Endpoint) -> None:
        self.receiver = endpoint  # type: ignore[assignment]  # it stands for the node
        self._broker = broker
        self._node = node
        self._inner: Path | None = None

    def enter(self, message: Message) -> None:
        """Pass it on to the network."""
        if self._inner is None:
            self._inner = self._broker.federation.path(self._broker, self._node)
        message.path = self._inner
        self._inner.enter(message)


class ClosedPath(Path):
    """From a node that is no client to the broker's."""

    def __init__(self, broker: Node, node: Node) -> None:
        self.receiver = broker
        self._node = node

    def enter(self, message: Message) -> None:
        """Refuse it."""
        name = self._node.name
        raise SendError(
            f"{name} cannot send {message.kind!r} to {self.receiver.name}: it is no client of this "
            f"MQTT broker; add it to the scenario's mqtt.clients, as in {self._node.group}: {{}}",
            node=name,
            now=message.sent,
        )


class Mqtt:
    """Plug-in `mqtt:`."""

    name = "mqtt"
    determinism: Determinism = "exact"
    schema: Mapping[str, Any] = SCHEMA

    # -- before a run

    def check(self, value: Any, path: Place, checker: Checker) -> None:
        """Report a broker that is none, clients that cannot be, and what no client may send."""
        broker = value.get("broker")
        if broker is not None and checker.exists(broker):
            self._check_broker(broker, (*path, "broker"), checker)
        seen: dict[str, str] = {}
        for name, options in value.get("clients", {}).items():
            place = (*path, "clients", name)
            if not checker.check_node_reference(place, name):
                continue
            for member in checker.members(name):
                if member in seen and name != member and seen[member] != member:
                    checker.problem(place, f"{member} is a client already, as {seen[member]}")
                    break
                seen[member] = name
            self._check_client(name, options or {}, place, checker)
            if broker is not None and broker in checker.members(name):
                checker.problem(place, "is the broker, and a broker is no client", at_key=True)
            elif broker is not None and checker.exists(broker):
                self._check_way(name, broker, place, checker)
        tuning = tuning_of(value.get("transport", {}))
        if not checker.incomplete((*path, "transport")) and tuning.rto_max < tuning.rto_min:
            checker.problem((*path, "transport"), "rto_max is less than rto_min")

    def _check_broker(self, name: str, place: Place, checker: Checker) -> None:
        if checker.members(name) != (name,):
            checker.problem(place, f"{name} is a group, and a broker is one node")
            return
        node = _entry(checker, name)
        if node is None or checker.incomplete(("nodes", _group_of(checker, name))):
            return
        service = node.get("service", "")
        if node.get("implementation") == IMPLEMENTATION or service == SERVICE or ":" in service:
            return
        checker.problem(
            place,
            f"{name} is no broker: give it 'implementation: {IMPLEMENTATION}', or "
            f"'service: {SERVICE}'",
        )

    def _check_client(
        self, name: str, options: Mapping[str, Any], place: Place, checker: Checker
    ) -> None:
        node = _entry(checker, name)
        if node is not None:
            backend = checker.plugins.backends.get(node.get("implementation", "python_model"))
            kind_of = getattr(backend, "kind_of", None)
            if kind_of is not None and kind_of(node) == "free_running":
                checker.problem(
                    place,
                    "is free-running and cannot be a client itself: put a node with 'service: "
                    "mqtt_gateway' between it and the broker, as a modem would be",
                    at_key=True,
                )
        self._check_texts(name, options, place, checker)
        if "keepalive" in options and not checker.incomplete((*place, "keepalive")):
            keepalive = duration(options["keepalive"])
            if keepalive % SECOND or keepalive > _LONGEST * SECOND:
                checker.problem(
                    (*place, "keepalive"),
                    f"is to be a whole number of seconds, {_LONGEST} at most",
                )
        backoff = options.get("reconnect", {})
        if not checker.incomplete((*place, "reconnect")):
            first = duration(backoff.get("min", "1s"))
            if first == 0 or first > duration(backoff.get("max", "60s")):
                checker.problem((*place, "reconnect"), "min is to be more than 0, and max not less")

    def _check_texts(
        self, name: str, options: Mapping[str, Any], place: Place, checker: Checker
    ) -> None:
        """Report what makes no packet, key by key."""
        members = checker.members(name)
        node = members[0] if members else name
        texts: dict[Place, str] = {("client_id",): options.get("client_id", "")}
        texts[("will", "topic")] = options.get("will", {}).get("topic", "")
        for index, each in enumerate(options.get("subscribe", ())):
            texts[("subscribe", index, "filter")] = each.get("filter", "")
        for keys, text in texts.items():
            if (found := stray(text, "{node}")) is not None:
                what = f"{found} stands for nothing, {{node}} does for the node's name"
                checker.problem((*place, *keys), what)
        for index, each in enumerate(options.get("subscribe", ())):
            text = str(each.get("filter", "#")).replace("{node}", node)
            with _Reporting(checker, (*place, "subscribe", index, "filter")):
                Subscribe(1, ((text, 0),)).encode()

        if "will" in options:
            with _Reporting(checker, (*place, "will")):
                will = {"topic": "t", **options["will"]}
                wanted({"will": will}, node).hello.encode()
        if "client_id" in options:
            with _Reporting(checker, (*place, "client_id")):
                Connect(options["client_id"].replace("{node}", node)).encode()
            if not options["client_id"] and not options.get("clean", True):
                checker.problem(
                    (*place, "client_id"), "is empty: the broker could not keep its session"
                )

    def _check_way(self, name: str, broker: str, place: Place, checker: Checker) -> None:
        network = checker.data.get("network", {})
        links = network.get("links") if isinstance(network, Mapping) else None
        if links is None or checker.incomplete(("network",)):
            return  # others connect all, or it is not known
        there, back = _reached(broker, links, checker)
        for member in checker.members(name):
            if member not in there or member not in back:
                ends = (member, broker) if member not in back else (broker, member)
                checker.problem(place, f"no links lead from {ends[0]} to {ends[1]}", at_key=True)
                return

    # -- in a run

    def attach(self, federation: Federation, value: Any) -> None:
        """Put an endpoint beside each client's node."""
        scenario, nodes = federation.scenario, federation.nodes
        broker = nodes[value["broker"]]
        members = {name: [spec.name for spec in scenario.select(name)] for name in value["clients"]}
        tuning = tuning_of(value.get("transport", {}))
        endpoints: dict[Node, Endpoint] = {}
        for name, options in options_of(value["clients"], members).items():
            node = nodes[name]
            endpoints[node] = endpoint = Endpoint(
                node, broker, _way(federation, node, broker), wanted(options, name), tuning
            )
            node.reroute(broker.name, CommandPath(broker, endpoint))
            broker.reroute(name, SegmentPath(broker, node, endpoint))
        for node in nodes.values():
            if node not in endpoints and node is not broker:
                node.reroute(broker.name, ClosedPath(broker, node))

        def observe(node: Node) -> None:
            endpoint = endpoints.get(node)
            if endpoint is not None:
                endpoint.end() if node.down else endpoint.begin()

        federation.observe_lives(observe)
        if "listen" in value:
            port = Port(federation, broker, value["listen"])
            broker.reroute(broker.name, port)
            federation.visitors.append(port)

    def doctor(self) -> tuple[bool, str]:
        """Always works."""
        return True, "built in"


def _way(federation: Federation, node: Node, broker: Node) -> Any:
    """Gives the network's own path, which is made when it is first needed."""

    @cache
    def path() -> Path:
        try:
            return federation.path(node, broker)
        except SendError as error:
            raise SendError(
                f"{node.name} cannot send {error}", node=node.name, now=federation.now
            ) from None

    return path


class _Reporting:
    """Reports what a packet refuses as a problem of a place."""

    def __init__(self, checker: Checker, place: Place) -> None:
        self._checker = checker
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if isinstance(error, Malformed | UnitError):
            self._checker.problem(self._place, str(error))
            return True
        return False


def _group_of(checker: Checker, name: str) -> str:
    if name in checker.groups:
        return name
    return name.rpartition("-")[0]


def _entry(checker: Checker, name: str) -> Mapping[str, Any] | None:
    """What stands under `nodes` for a node or group, as far as it is valid."""
    nodes = checker.data.get("nodes", {})
    found = nodes.get(_group_of(checker, name))
    return found if isinstance(found, Mapping) else None


def _reached(
    broker: str, links: Iterable[Mapping[str, Any]], checker: Checker
) -> tuple[set[str], set[str]]:
    """The nodes that the broker reaches over links, and those that reach it."""
    pairs: list[tuple[set[str], set[str]]] = []
    for entry in links:
        ends = link_ends(entry)
        if ends is None:
            continue
        first, second = (set(checker.members(name)) for name in ends)
        pairs.append((first, second))
        if "between" in entry:
            pairs.append((second, first))
    return _closure(broker, pairs), _closure(broker, [(b, a) for a, b in pairs])


def _closure(start: str, pairs: Iterable[tuple[set[str], set[str]]]) -> set[str]:
    found, waiting = {start}, list(pairs)
    while True:
        again = []
        for first, second in waiting:
            if found & first:
                found |= second
            else:
                again.append((first, second))
        if len(again) == len(waiting):
            return found
        waiting = again
