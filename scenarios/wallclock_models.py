"""What the sensor of `wallclock.yaml` does."""

from collections import deque
from math import sin


def sensor(node):
    """Measures every 100 ms, and asks what will come next."""
    values = deque(maxlen=8)
    expected = None
    while True:
        asked = node.now
        values.append(round(20 + 3 * sin(node.now / 1e9) + node.random.gauss(0, 0.02), 3))
        if expected is not None:
            node.record("error", abs(expected - values[-1]))
        if len(values) > 1:
            question = node.send("predictor", "values", {"values": list(values)})
            answer = yield node.receive("prediction", timeout="1s")
            while answer is not None and answer.cause != question.id:  # a late one
                answer = yield node.receive("prediction", timeout="1s")
            expected = None if answer is None else answer.payload["next"]
            node.record("response_ms", (node.now - asked) / 1e6)
        yield node.sleep(max(asked + 100_000_000 - node.now, 0))
