"""What the nodes of `quickstart.yaml` do: read digits, classify them, account for them.

A *model* is a generator function that takes its node: each `yield` lets virtual time pass.
A *service* is a class that answers messages. Neither ever looks at the wall clock, draws from
a global random generator or sleeps for real; so the same seed gives the same run.
"""

from pathlib import Path

import numpy as np

from simcore.units import duration

DIGITS = Path(__file__).parent / "data" / "digits.bin"  # data/README.md says whose they are
TRAINING = 898  # records of the training half; the rest is the test half
SCALE = 16  # centroids are kept in sixteenths of a grey level, as whole numbers


def load_digits():
    """Images (n x 64, grey levels 0..16) and labels (n), training half first."""
    records = np.frombuffer(DIGITS.read_bytes(), dtype=np.uint8).reshape(-1, 65)
    return records[:, :64], records[:, 64]


def camera(node):
    """A meter's camera: sends one image every few seconds and waits for the acknowledgement."""
    images = load_digits()[0][TRAINING:]  # only images the classifier has never seen
    period = duration(node.config["period"])
    yield node.sleep(node.random.randrange(period))  # twenty cameras are not in step
    while True:
        index = node.random.randrange(len(images))
        # 64 bytes of image after a header of 8; what the JSON of it takes is of no interest.
        node.send(
            "gateway",
            kind="reading",
            payload={"index": index, "image": images[index].tobytes()},
            size=72,
        )
        ack = yield node.receive(kind="ack", timeout="1s")
        node.record("acknowledged", ack is not None)
        yield node.sleep(period // 2 + node.random.randrange(period))


class Classifier:
    """The gateway: recognises the digit on an image and tells the cloud.

    A nearest-centroid classifier: the mean image of each digit in the training half, and the
    digit whose mean is nearest. In whole numbers, so that every processor gives the same.
    """

    def start(self, ctx):
        images, labels = (part[:TRAINING].astype(np.int64) for part in load_digits())
        digits = [images[labels == digit] for digit in range(10)]
        self.centroids = np.array([np.sum(own * SCALE, axis=0) // len(own) for own in digits])

    def on_message(self, ctx, msg):
        # Classifying takes this long in virtual time, however fast this computer is. What is
        # sent below leaves when the time is over; images that come meanwhile wait their turn.
        ctx.compute(ctx.config["compute"])
        ctx.send(
            "cloud",
            kind="result",
            payload={
                "meter": msg.source,
                "index": msg.payload["index"],
                "digit": self.classify(msg.payload["image"]),
            },
            size=16,
        )

    def classify(self, image):
        """The digit (0..9) on an image of 64 bytes."""
        pixels = np.frombuffer(image, dtype=np.uint8).astype(np.int64)
        distances = np.sum((pixels * SCALE - self.centroids) ** 2, axis=1)
        return int(np.argmin(distances))


class Ledger:
    """The cloud: keeps account of the readings and acknowledges each to its meter.

    It also plays the experimenter: it knows the truth about every image (which neither the
    camera nor the gateway is ever told) and records whether the answer was right.
    """

    def start(self, ctx):
        self.truth = load_digits()[1][TRAINING:]

    def on_message(self, ctx, msg):
        result = msg.payload
        ctx.record("accuracy", result["digit"] == int(self.truth[result["index"]]))
        ctx.send(result["meter"], kind="ack", payload={"index": result["index"]}, size=16)
