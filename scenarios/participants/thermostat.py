"""A thermostat that takes part in a run as a program of its own, in Python.

It switches the heating by the readings it gets, each answer taking it 3 ms of virtual time, and
reports its state every period. `thermostat.c` and `thermostat.js` do the same.
"""

from simcore.protocol.peer import serve  # or copy that file beside this one: `from peer import ...`

THINKING = 3_000_000  # ns


class Thermostat:
    kind = "reactive"

    def start(self, peer):
        self.low, self.high = peer.config["low"], peer.config["high"]
        self.panel = peer.config["panel"]
        self.period = peer.config["period_ms"] * 1_000_000
        self.report = peer.time + self.period  # when the next status is due
        self.on = False
        self.readings = 0
        return self.report

    def advance(self, peer, until, inputs):
        for message in inputs:
            if message.kind == "reading":
                self.answer(peer, message)
        if until == self.report:
            self.report += self.period
            peer.record("heating", self.on)
            peer.send(self.panel, "status", {"on": self.on, "readings": self.readings})
        return self.report

    def answer(self, peer, message):
        celsius = message.payload["celsius"]
        if celsius < self.low:
            self.on = True
        elif celsius > self.high:
            self.on = False
        self.readings += 1
        peer.send(
            message.source,
            "heat",
            {"on": self.on},
            at=peer.now + THINKING,
            cause=message,
            spent=(0, THINKING),
        )


serve(Thermostat())
