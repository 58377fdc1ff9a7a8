"""Energy where others than models stand behind the nodes, and where a run fails.

What is counted is what the table of messages tells: bytes of who sent them, computing as declared.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from ns3_native import require_ns3
from support import ROOT, Project

from simcore import Federation, open_run
from simcore.errors import ModelError
from simcore.results.energy import node_energies
from simcore.results.store import Run
from simcore.scenario import load, loads

SCENARIOS = ROOT / "scenarios"
RADIO = "{tx: 2uJ, rx: 1uJ, overhead: 5B}"


def bytes_of(run: Run, name: str, way: str) -> int:
    """What a node sent, or received, by the table of messages; 5 bytes more for each."""
    (size,) = run.connection.execute(
        f"SELECT coalesce(sum(size + 5), 0) FROM messages WHERE {way} = ? "
        f"AND (? = 'source' OR fate = 'delivered')",
        (name, way),
    ).fetchone()
    return int(size)


def test_everything_that_mqtt_sends_counts(tmp_path: Path) -> None:
    """Segments, acknowledgements and retransmissions over links that lose: all are messages."""
    scenario = load(SCENARIOS / "mqtt_python.yaml", until="20s")
    groups = list(scenario.groups)
    entries = ", ".join(f"{group}: {{idle: 1mW, radio: {RADIO}}}" for group in groups)
    scenario = load(
        SCENARIOS / "mqtt_python.yaml", until="20s", overrides=[f"energy={{{entries}}}"]
    )
    Federation(scenario, out=tmp_path / "run").run()
    with open_run(tmp_path / "run") as run:
        found = node_energies(run.connection)
        assert set(found) == {spec.name for spec in scenario.nodes}
        for name, node in found.items():
            assert node.sent == bytes_of(run, name, "source") > 0
            assert node.received == bytes_of(run, name, "destination") > 0


SERVICE = """
class Gateway:
    def on_message(self, ctx, msg):
        ctx.compute("4ms")
        ctx.reply(msg, "first", 1)
        ctx.compute("2ms")
        ctx.reply(msg, "second", 2)
"""

MODEL = """
def meter(node):
    for _ in range(10):
        node.send("gateway", "reading", 1, size=50)
        yield node.sleep("100ms")
"""

TEXT = """
simcore: 1
duration: 1s
nodes:
  meter: {model: models.py:meter}
  gateway: {implementation: %s, service: service.py:Gateway}
network: {model: latency, links: [{between: [meter, gateway], delay: 5ms}]}
energy:
  meter: {idle: 1mW, radio: {tx: 2uJ, rx: 1uJ}}
  gateway: {idle: 1W, active: 5W, battery: 1.1J}
"""


def test_a_service_draws_the_same_in_whatever_process_it_runs(tmp_path: Path) -> None:
    """10 messages of 6 ms: 60 ms at 5 W; with 1.1 J its end comes before that of the run."""
    project = Project(tmp_path)
    project.write("service.py", SERVICE)
    project.write("models.py", MODEL)
    told = []
    for implementation in ("python_model", "process"):
        scenario = loads(TEXT % implementation, base=tmp_path)
        digest = Federation(scenario, out=tmp_path / implementation).run()
        with open_run(tmp_path / implementation) as run:
            rows = run.connection.execute("SELECT * FROM energies ORDER BY rowid").fetchall()
            ends = run.connection.execute("SELECT at FROM fault WHERE kind = 'battery'").fetchall()
        told.append((digest, rows, ends))
    assert told[0] == told[1]
    # Before its end it has answered nine messages: 54 ms at 4 W more than idle.
    assert told[0][2] == [(1_100_000_000 - 9 * 24_000_000,)]


def test_a_run_that_fails_tells_what_was_drawn_until_then(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("service.py", SERVICE)
    project.write("models.py", MODEL.replace('yield node.sleep("100ms")', "yield 1 / 0"))
    scenario = loads(TEXT % "python_model", base=tmp_path)
    with pytest.raises(ModelError, match="division by zero"):
        Federation(scenario, out=tmp_path / "run").run()
    with open_run(tmp_path / "run") as run:
        assert node_energies(run.connection)["meter"].sent == 50


@pytest.mark.ns3
def test_packets_of_ns3_count_once_at_each_end(tmp_path: Path) -> None:
    """No retransmission of the MAC layer is seen; a battery ends a node of a packet network, too."""
    require_ns3()
    entries = [
        f"{group}: {{idle: 1mW, radio: {RADIO}, battery: {battery}}}"
        for group, battery in (("meter", "5mJ"), ("gateway", "1kJ"))
    ]
    scenario = load(
        SCENARIOS / "lrwpan_meters.yaml",
        until="6s",
        overrides=[f"energy={{{', '.join(entries)}}}"],
    )
    digest = Federation(scenario, out=tmp_path / "run").run()
    with open_run(tmp_path / "run") as run:
        for name, node in node_energies(run.connection).items():
            assert node.sent == bytes_of(run, name, "source") > 0
            assert node.received == bytes_of(run, name, "destination")
            assert (node.left == 0) == name.startswith("meter")
        ends = run.connection.execute("SELECT kind FROM fault").fetchall()
    assert ends == [("battery",)] * len(scenario.groups["meter"])
    assert Federation(scenario).run() == digest
