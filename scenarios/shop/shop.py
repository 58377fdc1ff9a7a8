"""A shop in plain SimPy, in seconds, whose tills ask a program outside it what is in stock.

Run it:   python scenarios/shop/shop.py [RUN_DIRECTORY]
"""

import random
import sys
from pathlib import Path

import simpy

import simcore

SCENARIO = Path(__file__).with_name("shop.yaml")
WANTED = {"bread": 3, "milk": 3, "salt": 1}  # how often, one against the other


class Shop:
    """Three counters with a queue each; at each stands a till, which is a node of simcore.

    Args:
        env: counts seconds.
        tills: nodes that send to `stock`.
    """

    def __init__(self, env, tills, seed):
        self.env = env
        self.queues = {till: simpy.Resource(env, capacity=1) for till in tills}
        self.random = random.Random(seed)
        self.waits, self.sold, self.sold_out = [], 0, 0
        env.process(self.door())

    def door(self):
        """Customers come, one in 30 s on average, each with a wish and a way of packing."""
        while True:
            yield self.env.timeout(self.random.expovariate(1 / 30))
            (item,) = self.random.choices(list(WANTED), WANTED.values())
            self.env.process(self.customer(item, packing=self.random.uniform(20, 120)))

    def customer(self, item, packing):
        """Takes the shortest queue, and goes home with what is wanted, or without."""
        till, queue = min(self.queues.items(), key=lambda each: each[1].count + len(each[1].queue))
        came = self.env.now
        with queue.request() as turn:
            yield turn
            self.waits.append(self.env.now - came)
            till.send("stock", "take", {"item": item})
            answer = yield till.receive()
            if answer.payload["sold"]:
                self.sold += 1
                yield self.env.timeout(packing)
            else:
                self.sold_out += 1


def simulate(scenario, out=None):
    """Run the shop with its tills and stock; returns the shop and the digest of what they said."""
    env = simpy.Environment()
    with simcore.Federation(scenario, env, unit="1s", out=out) as federation:
        tills = [node for node in federation.nodes.values() if node.group == "till"]
        shop = Shop(env, tills, scenario.seed)
        env.run(until=federation.end / 1e9)
    return shop, federation.digest


if __name__ == "__main__":
    shop, digest = simulate(simcore.load(SCENARIO), *sys.argv[1:2])
    wait = sum(shop.waits) / len(shop.waits)
    print(f"{shop.sold} customers served, {shop.sold_out} found it sold out")
    print(f"they waited {wait:.1f} s on average; digest {digest[:12]}")
