"""Three participants that keep all rules, one of each kind, over `simcore/protocol/peer.py`.

    python participants.py reactive|free_running|network

It is found by its path and not imported from simcore, so that these programs start fast.
"""

from __future__ import annotations

import heapq
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../simcore/protocol"))

from peer import serve

MS = 1_000_000


class Clerk:
    """Answers each request a little later, and reports how many there were, every 200 ms."""

    kind = "reactive"
    period = 200 * MS

    def start(self, peer):
        self.random = random.Random(peer.seed)
        self.due = peer.time + self.period
        self.served = 0
        self.own = {"source": peer.nodes[0]} if len(peer.nodes) > 1 else {}
        return self.due

    def advance(self, peer, until, inputs):
        for message in inputs:
            if message.kind == "message":
                self.answer(peer, message)
        if until == self.due:
            self.due += self.period
            peer.record("served", self.served, node=peer.nodes[0])
        return self.due

    def answer(self, peer, message):
        self.served += 1
        takes = self.random.randrange(MS, 5 * MS)
        payload = {"of": message.id, "echo": message.payload}
        peer.send(message.source, "answer", payload, at=peer.now + takes, cause=message,
                  spent=(0, takes), **self.own)  # fmt: skip


class Meter:
    """Counts what it gets; says so 1 us later, and how it is every 30 ms, on a clock of its own."""

    kind = "free_running"
    grain = 1000
    period = 30 * MS
    takes = 1000

    def start(self, peer):
        self.queue = []
        self.tick = peer.time + self.period
        self.count = 0

    def advance(self, peer, until, inputs):
        for message in inputs:
            self.count += 1
            answer = (message.source, {"count": self.count, "echo": message.payload}, message)
            heapq.heappush(self.queue, (message.at + self.takes, self.count, answer))
        while self.tick < until:
            peer.record("level", self.tick // self.period % 7, at=self.tick)
            self.tick += self.period
        while self.queue and self.queue[0][0] < until:
            at, _, (destination, payload, cause) = heapq.heappop(self.queue)
            peer.send(destination, "count", payload, at=at, cause=cause)


class Wire:
    """Carries each message in 3 ms and some nanoseconds; each third one is lost halfway."""

    kind = "network"
    delay = 3 * MS

    def start(self, peer):
        self.events = []
        self.number = 0

    def advance(self, peer, until, inputs):
        for message in inputs:
            self.number += 1
            lost = self.number % 3 == 0
            at = message.at + self.takes(message, lost)
            heapq.heappush(self.events, (at, self.number, message, lost))
        while self.events and self.events[0][0] < until:
            at, _, message, lost = heapq.heappop(self.events)
            peer.settle(message, at, "loss" if lost else "delivered")
            if not lost:
                break
        return self.events[0][0] if self.events else None

    def takes(self, message, lost):
        return self.delay // 2 if lost else self.delay + message.size


class Restless(Clerk):
    """More often than can be examined."""

    period = MS // 10


KINDS = {each.kind: each for each in (Clerk, Meter, Wire)}


def main(kind):
    serve(Restless() if kind == "restless" else KINDS[kind]())


if __name__ == "__main__":
    main(sys.argv[1])
