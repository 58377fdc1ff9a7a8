"""What the room of `participants.yaml` does: cool down, and warm up while it is heated."""


def room(node):
    """Measures every 10 s, and asks the thermostat whether to heat."""
    celsius, heating, warm = node.config["celsius"], False, 0
    number = 0
    while True:
        yield node.sleep("10s")
        celsius += (0.4 if heating else -0.2) + node.random.gauss(0.0, 0.05)
        node.record("celsius", round(celsius, 2))
        node.send("thermostat", "reading", {"celsius": round(celsius, 2)})
        answer = yield node.receive("heat", timeout="5s")
        heating = answer.payload["on"] if answer is not None else False
        number += 1
        warm += 19.5 <= celsius <= 22.0
        if number % 60 == 0:
            node.record("comfort", warm / number)  # share of the time so far
