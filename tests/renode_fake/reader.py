"""The reader on the stand-in: its twin decides, and this model of a processor says it."""

from __future__ import annotations

import json

from reader_twin import Said, Twin

from .emulation import Program
from .firmware import Hal, Lines


def reader(hal: Hal) -> Program:
    """`firmware/app/reader.c`."""
    yield from hal.start()
    twin, lines = Twin(), Lines(hal, 0)
    told = shown = 0
    while True:
        for message in twin.said[told:]:
            yield from hal.write(0, _line(message))
        for label in twin.shown[shown:]:
            yield from hal.write(0, f"shows {label}\n".encode())
        told, shown = len(twin.said), len(twin.shown)
        line = next(lines.read(), None)
        if line is not None:
            yield 200 + 10 * len(line)
            heard = json.loads(line)
            if heard["kind"] == "setup":
                twin.set_up(heard["payload"], hal.now())
            else:
                twin.act(heard["payload"], hal.now(), heard["src"], heard["id"])
        elif hal.now() >= twin.next:
            yield 2_000
            twin.wake(hal.now())
        else:
            yield from hal.sleep_until(twin.next)


def _line(message: Said) -> bytes:
    destination, kind, payload, size, cause = message
    line = {"dst": destination, "kind": kind, "payload": json.loads(payload)}
    if cause is not None:
        line["re"] = cause
    if size is not None:
        line["size"] = size
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"
