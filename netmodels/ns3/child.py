"""The program that simcore starts for a network of ns-3: a network participant.

It speaks the protocol as any other does. An input with content is no message but something that
simcore wants done: a fault, a stretch of time to catch up with, the figures at the end.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from simcore.protocol.peer import Message, Peer, serve

from .binding import FATES, NEVER, Binding
from .building import Built, Impossible
from .building import Network as Made

_MESSAGE = re.compile(r'msg="(.+)", [+-]')


def made(
    ns3: Binding, config: dict[str, Any], seed: int, names: list[str], native: bool = False
) -> Made:
    """The network in ns-3 that a configuration asks for; arguments as for `building.Network`."""
    if "topology" not in config:
        return Built(ns3, config, seed, names, native)
    from .adopting import Adopted

    return Adopted(ns3, config, seed, names, native)


class Network:
    """ns-3, advanced by simcore."""

    kind = "network"

    def start(self, peer: Peer) -> int | None:
        """Build the network; nothing happens in it until a message enters."""
        self._peer = peer
        try:
            self._ns3 = Binding(peer.config["library"])
        except OSError as error:
            peer.fail(f"{error}: remove its folder, and it is built anew")
            sys.exit(1)
        self._ns3.on_giving_up(self._give_up)
        try:
            self._made = made(self._ns3, peer.config, peer.seed, peer.nodes)
        except Impossible as error:
            peer.fail(str(error), error.detail)
            _end(1)
        self._ids: dict[int, str] = {}
        self._count = 0
        return None

    def advance(self, peer: Peer, until: int, inputs: list[Message]) -> int | None:
        """Let messages in, go on to the first delivery, and tell what became of which."""
        ns3 = self._ns3
        for message in inputs:
            if (action := message.payload) is not None:
                self._act(message.at, action)
                if action["do"] == "report":
                    return None  # it was the last
                continue
            self._count += 1
            self._ids[self._count] = message.id
            node, device, manner = self._made.way(message.source, message.destination)
            ns3.send(message.at, node, device, message.size, self._count, manner)
        ns3.advance(until)
        for number, at, fate in ns3.outcomes():
            peer.settle(self._ids.pop(number), at, fate)
        following: int = ns3.next()
        return None if following == NEVER else following

    def _give_up(self, text: str) -> None:
        """Report ns-3's last words; it can do nothing any more."""
        told = _MESSAGE.findall(text) or [line for line in text.splitlines() if line.strip()]
        when = self._ns3.doing or f"it was at {self._ns3.library.sn_now()} ns of virtual time"
        self._peer.fail(f"ns-3 gave up when {when}: {told[0] if told else 'without a word'}")
        os._exit(1)

    def _act(self, at: int, action: dict[str, Any]) -> None:
        library, made = self._ns3.library, self._made
        what = action["do"]
        if what == "catch_up":
            library.sn_catch_up(at + 1)
        elif what == "disturb":
            segment, source, destination = action["link"]
            library.sn_disturb(
                at,
                made.device(segment, source),
                made.device(segment, destination),
                action["down"],
                action["through"],
            )
        elif what == "change":
            segment, node = action["device"]
            library.sn_link(at, made.device(segment, node), action["rate"], action["delay"])
        elif what == "node":
            library.sn_switch(at, action["node"], FATES.index(action["off"] or "delivered"))
        elif what == "report":
            if library.sn_report(at + 1, action["file"].encode(), action["flows"].encode()):
                self._peer.fail(f"the figures cannot be written to {action['file']}")
                sys.exit(1)
            made.let_go()
            library.sn_close()


def _end(code: Any) -> None:
    """End the process; at once, if there are bindings: they would touch what is gone already."""
    if "cppyy" not in sys.modules:
        sys.exit(code)
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    try:
        serve(Network())
    except SystemExit as ended:
        _end(ended.code)
