"""The gateway of `firmware_native.yaml` and `firmware_qemu.yaml`: listens to meters, and commands.

It recognises the digits on the images that it gets. Once a meter has sent a few, it is told to
recognise them itself and to send digits, which take a fraction of the air; then, to take more.
"""

from quickstart_models import TRAINING, Classifier, load_digits


class Gateway(Classifier):
    """Recognises images, then lets the meters do it."""

    def start(self, ctx):
        super().start(ctx)
        self.truth = load_digits()[1][TRAINING:]
        self.images = {}  # by meter: how many it has sent
        self.commanded = {}  # by meter: when its last command was sent

    def on_message(self, ctx, msg):
        if msg.kind == "image":
            ctx.compute(ctx.config["compute"])
            digit = self.classify(msg.payload["image"])
            self.judge(ctx, msg.payload["index"], digit)
            self.images[msg.source] = self.images.get(msg.source, 0) + 1
            if self.images[msg.source] == ctx.config["enough"]:
                self.command(ctx, msg.source, "mode local")
            else:
                ctx.send(msg.source, kind="ack", payload=msg.payload["n"], size=12)
        elif msg.kind == "digit":
            self.judge(ctx, msg.payload["index"], msg.payload["digit"])
        elif msg.kind == "ok":
            ctx.record("reaction", (ctx.now - self.commanded[msg.source]) / 1e6)  # ms
            if msg.payload == "mode local":
                self.command(ctx, msg.source, "period 500")

    def command(self, ctx, meter, text):
        self.commanded[meter] = ctx.now
        ctx.send(meter, kind="command", payload=text)

    def judge(self, ctx, index, digit):
        """The experimenter's part: only he knows the truth."""
        ctx.record("accuracy", digit == int(self.truth[index]))
