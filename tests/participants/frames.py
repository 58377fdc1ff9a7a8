"""`fakes.FakeNetwork` as a program of its own. config: seed, least, pause (as `program.py`)."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from random import SystemRandom

sys.path.insert(0, str(Path(__file__).parents[1]))

from fakes import FakeNetwork, Frames

from simcore.protocol.peer import Message, Peer


class Frame:
    """What the fake needs to know of a message."""

    def __init__(self, message: Message, orders: dict[str, int]) -> None:
        self.id = message.id
        self.entered = message.at
        self.sent = message.sent
        self.size = message.size
        source, _, number = message.id.rpartition("/")
        self.source_order, self.number = orders[source], int(number)


def main() -> None:
    with Peer.connect() as peer:
        orders = {name: order for order, name in enumerate(peer.nodes)}
        network = FakeNetwork(Frames(peer.config["seed"], peer.config["least"]))
        pace, pause = SystemRandom(), peer.config["pause"]
        peer.ready("network")
        for advance in peer.advances():
            if pause:
                time.sleep(pace.randrange(pause) / 1e6)
            network.begin(advance.until, [Frame(each, orders) for each in advance.inputs])
            done = network.finish()
            for delivery in done.deliveries:
                peer.settle(delivery.id, delivery.at, delivery.fate.name.lower())
            peer.done(next=done.next, now=done.now)


if __name__ == "__main__":
    main()
