"""A real Mosquitto in whole runs: the digest of the model, always, and no work where there is none.

A hundred clients (tests/fleet.py), or

sensor ---- broker ---- gateway      clock ---- other, who are no clients
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import fleet
import mosquitto
import pytest
from simcore_backends.mqtt.settings import DIALECTS
from simcore_backends.mqtt.wire import Wire

from simcore import Federation, open_run
from simcore.scenario import load, loads

REAL = "implementation: mosquitto, run: process"
MODEL = "service: mqtt_broker"


def version() -> str:
    """The name of what this machine's Mosquitto is like."""
    [name] = [name for name, like in DIALECTS.items() if like == mosquitto.dialect()]
    return name


def digest(folder: Path, broker: str, lasts: str, out: str | None = None) -> str:
    scenario = load(fleet.write(folder, broker, version(), lasts))
    return Federation(scenario, out=None if out is None else folder / out).run()


def test_a_hundred_clients_are_the_same_with_the_model(tmp_path: Path) -> None:
    real = digest(tmp_path, REAL, "3s", "real")
    assert digest(tmp_path, MODEL, "3s") == real
    assert digest(tmp_path, f"{MODEL}, implementation: process", "3s") == real
    with open_run(tmp_path / "real") as run:
        rows = run.connection.execute("SELECT kind, count(*) FROM messages GROUP BY kind")
        kinds = dict(rows.fetchall())
        query = "SELECT value, count(*) FROM measurements WHERE name = 'got' GROUP BY value"
        got = run.connection.execute(query).fetchall()
        query = "SELECT count(*) FROM participant WHERE name = 'broker'"
        assert run.connection.execute(query).fetchone() == (2,)
    # Otherwise equal digests would say little.
    assert kinds["mqtt.publish"] > 4000
    for name in ("puback", "pubrec", "pubrel", "pubcomp"):
        assert kinds[f"mqtt.{name}"] > 1000
    assert kinds["mqtt.connack"] > 200
    assert {text.split(" ")[0] for text, _ in got} >= {"all/x", "talk/1", "walk/3/step"}
    assert any(text.startswith("gone/walker-") for text, _ in got)
    assert any(text.endswith(" kept") for text, _ in got)
    assert {text.split(" ")[2] for text, _ in got} == {"0", "1", "2"}


@pytest.fixture
def stress() -> Iterator[None]:
    """Programs that use every processor."""
    with ExitStack() as stack:
        for _ in range(os.cpu_count() or 1):
            burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(burner.wait)
            stack.callback(burner.kill)
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("stress")
def test_twenty_runs_under_stress_are_one(tmp_path: Path) -> None:
    found = {digest(tmp_path, REAL, "1s") for _ in range(20)}
    assert found == {digest(tmp_path, MODEL, "1s")}


QUIET = """
simcore: 1
duration: {lasts}
nodes:
  sensor: {{model: quiet.py:sensor}}
  gateway: {{}}
  clock: {{model: quiet.py:clock}}
  other: {{}}
  broker: {{implementation: mosquitto, run: process}}
network:
  model: latency
  links:
    - {{between: [sensor, broker], delay: 10ms}}
    - {{between: [gateway, broker], delay: 2ms}}
    - {{between: [clock, other], delay: 1ms}}
mqtt:
  broker: broker
  clients: {{sensor: {{}}, gateway: {{subscribe: [{{filter: t, qos: 1}}]}}}}
"""
QUIET_CODE = """
from simcore_backends import mqtt


def sensor(node):
    yield node.sleep("100ms")
    mqtt.publish(node, "t", 1, 1)


def clock(node):
    while True:
        node.send("other", "tick")
        yield node.sleep("10ms")
"""


def test_instants_without_mqtt_cost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fences: list[int] = []
    send = Wire.send_fence

    def counted(wire: Wire) -> None:
        fences.append(wire.connection)
        send(wire)

    monkeypatch.setattr(Wire, "send_fence", counted)
    mosquitto.program()
    (tmp_path / "quiet.py").write_text(QUIET_CODE, encoding="utf-8")

    def run(lasts: str) -> tuple[int, int, int]:
        fences.clear()
        out = tmp_path / lasts
        Federation(loads(QUIET.format(lasts=lasts), base=tmp_path), out=out).run()
        with open_run(out) as opened:
            (ticks,) = opened.connection.execute(
                "SELECT count(*) FROM messages WHERE kind = 'tick'"
            ).fetchone()
            (exchanges,) = opened.connection.execute("SELECT count(*) FROM exchange").fetchone()
        return len(fences), exchanges, ticks

    short, long = run("1s"), run("50s")  # no ping is due before 60 s
    assert long[2] > 40 * short[2]
    assert long[:2] == short[:2]
    # Simcore's own connection; two CONNECTs, a SUBSCRIBE with one before it, PUBLISH, PUBACK.
    assert short[0] == 7
    # Instants with a tcp.syn, a tcp.ack or the like reach the broker's node, and not Mosquitto.
    assert short[1] > short[0]
