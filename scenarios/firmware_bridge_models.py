"""The station and the modem of `firmware_bridge.yaml`, on both sides of a device with firmware."""


def station(node):
    """Ask how strong the signal is, every two seconds, and note what comes."""
    node.process(ask(node))
    while True:
        msg = yield node.receive()
        text = msg.payload["text"]
        if text.startswith("+CSQ: "):
            node.record("signal", int(text.removeprefix("+CSQ: ")))
            node.record("answered", (node.now - msg.origin) / 1e6)  # ms since it was asked
        else:
            node.record("call", 1)


def ask(node):
    while True:
        yield node.sleep("2s")
        node.send("bridge", "command", "AT+CSQ")


def modem(node):
    """Answer each question a while later; once, there is a call."""
    node.process(ring(node))
    while True:
        msg = yield node.receive()
        yield node.sleep("50ms")
        if msg.payload == "AT+CSQ":
            node.send("bridge", "line", f"+CSQ: {node.random.randint(10, 31)}")


def ring(node):
    yield node.sleep("7s")
    node.send("bridge", "line", "RING")
