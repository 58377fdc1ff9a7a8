"""What nodes do in `mqtt_python.yaml`: tanks fill, a controller watches, a pump empties them."""

from simcore_backends import mqtt


def tank(node):
    """Reports its level each second. It fills by itself, and falls while the pump runs."""
    state = {"pump": "off"}
    node.process(listen(node, state))
    level = node.random.uniform(30, 60)
    while True:
        yield node.sleep("1s")
        level += node.random.uniform(0, 2) - (3 if state["pump"] == "on" else 0)
        level = max(level, 0)
        node.record("overflow", level > 90)
        mqtt.publish(node, f"plant/{node.name}/level", round(level, 1), qos=1)


def listen(node, state):
    """Notes whether the pump runs, and takes back the will after each connection."""
    while True:
        message = yield node.receive()
        if message.kind == "mqtt.message":
            state["pump"] = message.payload["payload"]
        elif message.kind == "mqtt.connected":
            mqtt.publish(node, f"status/{node.name}", "here", qos=1, retain=True)


class Controller:
    """Starts the pump when a tank is too full, and stops it when all are low enough."""

    def start(self, ctx):
        self.levels = {}
        self.running = False

    def on_message(self, ctx, msg):
        topic, value = msg.payload["topic"], msg.payload["payload"]
        _, source, *_ = topic.split("/")
        if topic.startswith("status/"):
            if value == "gone":
                self.levels.pop(source, None)
                ctx.record("gone", source)
            return
        ctx.compute("2ms")
        self.levels[source] = value
        if not self.running and value >= ctx.config["high"]:
            self.command(ctx, "on")
        elif self.running and max(self.levels.values()) <= ctx.config["low"]:
            self.command(ctx, "off")

    def command(self, ctx, word):
        self.running = word == "on"
        mqtt.publish(ctx, "plant/pump/command", word, qos=2)


def pump(node):
    """Obeys, says so, and notes how long ago (ns) the level was measured that led to this."""
    while True:
        message = yield node.receive()
        node.record("reaction", node.now - message.origin)
        node.send("modem", "state", message.payload, cause=message)
