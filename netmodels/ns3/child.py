"""The program that simcore starts for a network of ns-3: a network participant.

It speaks the protocol as any other does. What is asked for most, that messages enter and ns-3
goes on, is answered by the library itself (`native/serving.h`). The rest comes here: a message on a
way that the library does not know yet, and inputs with content, which are no messages but something
that simcore wants done: a fault, a stretch of time to catch up with, the figures at the end.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

from simcore.protocol.peer import Advance, Message, Peer, Refused

from .binding import FATES, Binding
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


class _Peer(Peer):
    """This program, whose library answers what it can."""

    ns3: Binding | None = None
    """What answers; None: nothing does yet."""

    def _line(self) -> str:
        if self.ns3 is None or self._rest:
            return super()._line()
        while (line := self.ns3.library.sn_serve(self._in, self._out)) is None:
            pass  # a signal came, and is seen to by now
        if not line:
            raise SystemExit(1)  # simcore is gone: nobody is left to tell
        text: str = line.decode()
        return text

    def answer(self, ns3: Binding, advance: Advance) -> None:
        """Have ns-3 go on, and say what happened."""
        if not ns3.library.sn_answer(self._out, advance.seq, advance.until):
            raise SystemExit(1)


class Network:
    """ns-3, advanced by simcore.

    Args:
        peer: this program.
    """

    def __init__(self, peer: _Peer) -> None:
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
        peer.ns3 = self._ns3

    def advance(self, advance: Advance) -> None:
        """Let messages in, go on to the first delivery, and tell what became of which."""
        for message in advance.inputs:
            if (action := message.payload) is None:
                self._enter(message)
                continue
            self._act(message.at, action)
            if action["do"] == "report":
                self._peer.done()  # it was the last
                return
        self._peer.answer(self._ns3, advance)

    def _enter(self, message: Message) -> None:
        source, destination = _json(message.source), _json(message.destination)
        way = self._made.way(message.source, message.destination)
        self._ns3.library.sn_way(source, destination, *way)
        self._ns3.library.sn_enter(_json(message.id), message.at, message.size, *way)

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


def _json(text: str) -> bytes:
    """As simcore writes it, without the quotation marks."""
    return json.dumps(text, ensure_ascii=False)[1:-1].encode()


def main() -> None:
    """Take part in a run, from its beginning to its end."""
    try:
        with _Peer.connect() as peer:
            assert isinstance(peer, _Peer)
            network = Network(peer)
            peer.ready("network")
            for advance in peer.advances():
                network.advance(advance)
    except Refused as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    try:
        main()
    except SystemExit as ended:
        _end(ended.code)
    _end(0)
