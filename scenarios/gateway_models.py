"""The meters of the scenario `gateway`: who asks whom, and whether the answer was right."""

from pathlib import Path

import numpy as np

from simcore.units import duration, ratio

DIGITS = Path(__file__).parent / "data" / "digits.bin"  # data/README.md says whose they are
TRAINING = 898  # records that the models were trained on


def load_test_half():
    """Images (n x 64, grey levels 0..16) and labels (n) that no model has seen."""
    records = np.frombuffer(DIGITS.read_bytes(), dtype=np.uint8).reshape(-1, 65)[TRAINING:]
    return records[:, :64], records[:, 64]


def meter(node):
    """Sends an image to the gateway now and then; asks the cloud where the gateway is not sure.

    It also plays the experimenter: it knows the truth about its images, tells nobody, and records
    whether the answer was right.
    """
    images, truth = load_test_half()
    period, trust = duration(node.config["period"]), ratio(node.config["trust"])
    yield node.sleep(node.random.randrange(period))  # ten meters are not in step
    while True:
        index = node.random.randrange(len(images))
        # 64 bytes of image after a header of 8; what the JSON of it takes is of no interest.
        payload = {"index": index, "image": images[index].tobytes()}
        node.send("gateway", kind="reading", payload=payload, size=72)
        answer = yield node.receive(timeout="2s")
        # No answer (lost), or none that helps (rejected): the cloud may know.
        sure = answer is not None and answer.payload.get("confidence", 0) >= trust
        node.record("offloaded", not sure)
        if not sure:
            node.send("cloud", kind="reading", payload=payload, size=72)
            answer = yield node.receive(kind="verdict", timeout="2s")
        if answer is not None:
            node.record("accuracy", answer.payload["label"] == int(truth[index]))
        yield node.sleep(period // 2 + node.random.randrange(period))
