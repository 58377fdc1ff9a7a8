"""The shop's stock, kept by a program of its own on the shop's virtual clock.

It looks up one thing after the other, 400 ms each, and has a lorry bring more of what runs low.
"""

from simcore.protocol.peer import serve

LOOK_UP = 400_000_000  # ns
MINUTE = 60_000_000_000


class Stock:
    def start(self, peer):
        self.items = dict(peer.config["items"])
        self.lorries = []  # when each comes, and with what
        self.free = 0  # when everybody will have been answered

    def advance(self, peer, now, inputs):
        for message in inputs:
            self.take(peer, now, message)
        while self.lorries and self.lorries[0][0] == now:
            _, item = self.lorries.pop(0)
            self.items[item] += peer.config["box"]
            peer.record(f"left_{item}", self.items[item])
        return self.lorries[0][0] if self.lorries else None

    def take(self, peer, now, message):
        item = message.payload["item"]
        sold = self.items[item] > 0
        self.items[item] -= sold
        if sold and self.items[item] == peer.config["low"]:
            self.lorries.append((now + peer.config["lorry_min"] * MINUTE, item))
        begin = max(now, self.free)
        self.free = begin + LOOK_UP
        peer.send(message.source, "answer", {"sold": sold}, at=self.free, cause=message,
                  spent=(begin - now, LOOK_UP))  # fmt: skip


serve(Stock())
