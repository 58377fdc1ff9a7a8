"""Scenarios of placement for tests, and a folder with what they name.

meter (x 3) ---- gateway ---- edge
                    |
                    +-------- cloud

Over MQTT, gateway ---- broker ---- dispatcher stand in the place of the gateway.
"""

from __future__ import annotations

from pathlib import Path

MODELS = Path(__file__).parent / "integration" / "placement_models.py"

SCENARIO = """
simcore: 1
duration: 30s
nodes:
  meter: {count: 3, model: placement_models.py:meter}
  gateway: {tier: edge, service: placement}
  edge: {tier: edge, service: placement_models.py:Model}
  cloud: {tier: cloud, service: placement_models.py:Model, config: {sure: true, compute: 2ms}}
network:
  model: latency
  links:
    - {between: [meter, gateway], delay: {min: 8ms, exponential: 2ms}}
    - {between: [gateway, edge], delay: 1ms}
    - {between: [gateway, cloud], delay: 45ms}
placement:
  policy: confidence
  threshold: {device: 60%, edge: 70%}
  deadline: 150ms
  devices: meter
  dispatcher: gateway
  edge: edge
  cloud: cloud
  truth: placement_models.py:truth
"""

OVER_MQTT = (
    SCENARIO.replace("  gateway: {tier: edge, service: placement}\n", """
  gateway:
    service: mqtt_gateway
    config:
      publish: [{topic: "meters/{source}/{kind}"}]
      subscribe:
        - {filter: meters/+/setup, to: "{1}", kind: setup}
        - {filter: meters/+/result, to: "{1}", kind: result}
  broker: {tier: edge, service: mqtt_broker}
  dispatcher: {tier: edge, service: placement}
""")
    .replace("[gateway, edge]", "[dispatcher, edge]")
    .replace("[gateway, cloud]", "[dispatcher, cloud]")
    .replace("  dispatcher: gateway", '  dispatcher: dispatcher\n  mqtt: {topic: "meters/{device}/{kind}"}')
    .replace("placement:\n", "mqtt: {broker: broker, clients: {gateway: {}, dispatcher: {}}}\nplacement:\n")
    .replace("  links:\n", "  links:\n"
             "    - {between: [gateway, broker], delay: 500us}\n"
             "    - {between: [broker, dispatcher], delay: 500us}\n")
)  # fmt: skip

MINE = """
from simcore.extensions.placement.policy import Decision, Policy

class Mine(Policy):
    '''Every third image goes to the cloud, the others stay at the edge.'''

    def rule(self, device):
        return self.config.get("rule", "remote")

    def decide(self, ask):
        if ask.place:
            return Decision(ask.place, "what there is")
        place = "cloud" if ask.n % self.config["every"] == 0 else "edge"
        return Decision(place, f"image {ask.n}, every {self.config['every']}")

class Seldom(Mine):
    '''Two of three images are left to their devices, one of them without a word.'''

    def decide(self, ask):
        if ask.n % 3 == 0:
            return super().decide(ask)
        return Decision(None, f"image {ask.n} does not matter" if ask.n % 3 == 1 else "")

class Wrong(Mine):
    def decide(self, ask):
        return Decision("moon", "far")
"""


def write(folder: Path) -> Path:
    """Have a folder of a user's own with the models, and policies."""
    (folder / "my_policy.py").write_text(MINE)
    (folder / "placement_models.py").write_text(MODELS.read_text())
    return folder
