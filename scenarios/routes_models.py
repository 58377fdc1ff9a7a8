"""What the nodes of `routes.yaml` do: send bursts, wait for the echo of each message."""


def camera(node):
    """Sends bursts of pictures' pieces and measures how long their echoes take."""
    while True:
        yield node.sleep(round(node.random.expovariate(1 / 2e9)))  # every 2 s on average
        for piece in range(node.config["burst"]):
            node.send("server", kind="piece", payload={"piece": piece}, size=500)
        answered = 0
        while (yield node.receive(kind="echo", timeout="500ms")) is not None:
            answered += 1
        node.record("answered", answered)
