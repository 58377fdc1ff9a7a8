"""What the nodes of `faults.yaml` do: measure, pass on, notice when nothing comes."""


def thermometer(node):
    """Sends a temperature every second."""
    celsius = 20.0
    while True:
        celsius += node.random.uniform(-0.1, 0.1)
        node.send("gateway", kind="temperature", payload={"celsius": round(celsius, 2)}, size=16)
        yield node.sleep("1s")


class Gateway:
    """Passes every temperature on, numbered since its last start."""

    def start(self, ctx):
        # Called at the beginning and again after each restart: a crash forgets everything.
        self.passed_on = 0

    def on_message(self, ctx, msg):
        self.passed_on += 1
        ctx.compute("2ms")
        payload = {"number": self.passed_on, "celsius": msg.payload["celsius"]}
        ctx.send("cloud", kind="report", payload=payload, size=24)


class Watchdog:
    """The cloud: raises an alarm when no report has come for too long."""

    def start(self, ctx):
        self.silent = False
        ctx.set_timer("silence", ctx.config["patience"])

    def on_message(self, ctx, msg):
        if self.silent:
            self.silent = False
            ctx.record("alarm", False)
        ctx.set_timer("silence", ctx.config["patience"])  # setting it anew replaces the old one

    def on_timer(self, ctx, name):
        self.silent = True
        ctx.record("alarm", True)
