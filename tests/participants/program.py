"""A `fakes.Program` as a program of its own, at whatever pace its configuration asks for.

config: seed, peers, period; pause: greatest pause in microseconds before it answers, drawn anew
each time from the operating system's randomness, so that no two runs have the same pace.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from random import SystemRandom

sys.path.insert(0, str(Path(__file__).parents[1]))

from fakes import Program

from simcore.protocol.peer import Peer


def main(kind: str) -> None:
    with Peer.connect() as peer:
        config = peer.config
        seed = f"{config['seed']} {peer.name} {peer.life}"
        program = Program(seed, config["peers"], config["period"])
        pace = SystemRandom()
        peer.ready(kind, peer.time if kind == "reactive" else None)
        start = peer.time
        for advance in peer.advances():
            if config["pause"]:
                time.sleep(pace.randrange(config["pause"]) / 1e6)
            first, last = start, advance.until
            if kind == "reactive":
                first, last = advance.until, advance.until + 1
            done = program.live(first, last, advance.inputs)
            start = program.now = advance.until
            for each in done.outputs:
                peer.send(
                    each.destination, each.kind, int(each.payload), at=each.at, size=each.size,
                    cause=each.cause,
                )  # fmt: skip
            for measure in done.measures:
                peer.record(measure.name, measure.value, at=measure.at)
            peer.done(next=done.next if kind == "reactive" else None)


if __name__ == "__main__":
    main(sys.argv[1])
