"""Tables of computing times: what of a calibration run goes into them, and that they can be read.

client ---> server-0, server-1
"""

from __future__ import annotations

import statistics
from pathlib import Path

from simcore import Federation, loads, open_run
from simcore.distributions import parse
from simcore.protocol.calibration import machine
from simcore.results.costs import Costs, costs_of, table

MODELS = """\
def client(node):
    for number in range(50):
        yield node.sleep("1ms")
        node.send(f"server-{number % 2}", "ask", number)
"""
SCENARIO = """\
simcore: 1
name: asking
duration: 1s
nodes:
  client: {model: models.py:client}
  server: {count: 2, service: echo}
"""


def test_a_table_of_a_run(tmp_path: Path):
    (tmp_path / "models.py").write_text(MODELS)
    scenario = loads(SCENARIO, base=tmp_path)
    plain = Federation(scenario).run()
    assert Federation(scenario, out=tmp_path / "run", calibrate=True).run() != plain
    with open_run(tmp_path / "run") as run:
        members = scenario.groups["server"]
        costs = costs_of(run, members)
        text = table(costs, run, members)
        rows = run.connection.execute(
            "SELECT node, value FROM measurements WHERE name = 'handler_ns' ORDER BY at, number"
        ).fetchall()
        alone = costs_of(run, members[1:])
    by_node = [[value for node, value in rows if node == f"server-{n}"] for n in (0, 1)]
    assert [len(values) for values in by_node] == [25, 25]
    assert costs == Costs(
        group="server",
        service="echo",
        implementation="python_model",
        times=sorted(by_node[0][10:] + by_node[1][10:]),
        left_out=20,
        machines=[machine()],
    )
    assert alone.times == sorted(by_node[1][10:])
    assert costs.median == statistics.median(costs.times)
    low, high = sorted(costs.times)[27:29]  # rank 0.95 * 29 = 27.55, from 0
    assert low <= costs.p95 <= high
    (tmp_path / "server.txt").write_text(text)
    drawn = parse({"table": "server.txt"}, tmp_path)
    assert drawn.values == tuple(map(float, costs.times))


def test_a_node_that_handled_little_has_no_times(tmp_path: Path):
    (tmp_path / "models.py").write_text(MODELS.replace("50", "9"))
    scenario = loads(SCENARIO, base=tmp_path)
    Federation(scenario, out=tmp_path / "run", calibrate=True).run()
    with open_run(tmp_path / "run") as run:
        costs = costs_of(run, scenario.groups["server"])
    assert (list(costs.times), costs.left_out) == ([], 9)
