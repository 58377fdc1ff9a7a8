"""A hundred clients of one broker, which do all that MQTT knows, on a network that loses much.

walker (x 94) --\
talker (x 5)  ---+-- broker       a walker publishes and subscribes; a talker says much at once
watcher       --/
"""

from __future__ import annotations

from pathlib import Path

CODE = """\
from simcore_backends import mqtt


def walker(node):
    node.process(listen(node))
    draw = node.random
    while True:
        yield node.sleep(round(draw.expovariate(1 / 4e8)))
        qos = draw.randrange(3)
        topic = draw.choice([f"walk/{node.index % 10}/step", f"walk/{node.index}/turn", "all/x"])
        mqtt.publish(node, topic, draw.randrange(10**6), qos, retain=draw.random() < 0.05)


def talker(node):
    node.process(listen(node))
    while True:
        yield node.sleep("250ms")
        for number in range(25):
            mqtt.publish(node, f"talk/{node.index}", number, number % 3)


def listen(node):
    while True:
        message = yield node.receive()
        if message.kind == "mqtt.message":
            found = message.payload
            kept = "kept" if found["retain"] else ""
            node.record("got", f"{found['topic']} {found['payload']} {found['qos']} {kept}")


watcher = listen
"""

SCENARIO = """\
simcore: 1
name: fleet
duration: {lasts}
seed: 3
nodes:
  walker: {{count: 94, model: fleet.py:walker}}
  talker: {{count: 5, model: fleet.py:talker}}
  watcher: {{model: fleet.py:watcher}}
  broker: {{config: {{version: "{version}"}}, {broker}}}
network:
  model: latency
  links:
    - {{between: [walker, broker], delay: {{min: 4ms, exponential: 2ms}}, loss: 5%, rate: 1Mbit/s}}
    - {{between: [talker, broker], delay: 2ms, loss: 10%, rate: 2Mbit/s}}
    - {{between: [watcher, broker], delay: 1ms}}
mqtt:
  broker: broker
  clients:
    walker:
      clean: false
      keepalive: 1s
      reconnect: {{min: 50ms}}
      will: {{topic: "gone/{{node}}", payload: gone, qos: 1, retain: true}}
      subscribe: [{{filter: walk/3/+, qos: 2}}]
    talker: {{reconnect: {{min: 50ms}}, subscribe: [{{filter: "all/#", qos: 1}}]}}
    watcher: {{subscribe: [{{filter: "talk/+", qos: 2}}, {{filter: "gone/#", qos: 1}}, {{filter: "#"}}]}}
faults:
  - {{at: 700ms, for: 500ms, node: walker-3, crash: true}}
  - {{at: 800ms, for: 300ms, node: talker-2, crash: true}}
  - {{at: 200ms, for: 2s, link: [walker-7, broker], down: true}}
  - {{at: 1750ms, for: 100ms, node: broker, crash: true}}
"""


def write(folder: Path, broker: str, version: str, lasts: str = "3s") -> Path:
    """The scenario, in a folder.

    Args:
        broker: keys of the broker's node.
        version: the Mosquitto that it is like.
        lasts: how long the run is.
    """
    (folder / "fleet.py").write_text(CODE, encoding="utf-8")
    path = folder / "fleet.yaml"
    path.write_text(SCENARIO.format(broker=broker, version=version, lasts=lasts), encoding="utf-8")
    return path
