"""The same flow in other simulators, where they are importable.

YAFS (https://github.com/acsicuib/YAFS) is not on PyPI: put the `src` of a checkout on PYTHONPATH.
LEAF is `pip install leafsim`. Neither draws loss or delay per message: YAFS's links have a
constant delay, and LEAF knows no messages at all, only the power that data flows take.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

PERIOD_MS = 1000


def yafs_flow(nodes: int, seconds: int) -> tuple[int, int]:
    """Sensors send to a gateway, 8 ms away; returns messages on links and at the gateway.

    YAFS records each message twice, in two CSV files; the path is looked up in a constant
    (its own selection policies search the graph for each message).
    """
    from yafs.application import Application, Message
    from yafs.core import Sim
    from yafs.distribution import deterministicDistributionStartPoint
    from yafs.placement import NoPlacementOfModules
    from yafs.population import Population
    from yafs.selection import Selection
    from yafs.topology import Topology

    class Sensors(Population):  # type: ignore[misc]
        def initial_allocation(self, sim: Any, app_name: str) -> None:
            sim.deploy_sink(app_name, node=0, module="Gateway")
            for index in range(1, nodes + 1):
                start = PERIOD_MS * index / (nodes + 1)
                when = deterministicDistributionStartPoint(start, PERIOD_MS, name="second")
                sim.deploy_source(app_name, id_node=index, msg=reading, distribution=when)

    class Direct(Selection):  # type: ignore[misc]
        def get_path(
            self, sim: Any, app: str, message: Any, source: int, processes: Any, modules: Any,
            traffic: Any, from_des: int,
        ) -> Any:  # fmt: skip
            return [[source, 0]], modules[app][message.dst]

    topology = Topology()
    topology.load(
        {
            "entity": [{"id": index, "IPT": 1} for index in range(nodes + 1)],
            "link": [{"s": index, "d": 0, "BW": 1000, "PR": 8} for index in range(1, nodes + 1)],
        }
    )
    app = Application("bench")
    app.set_modules(
        [
            {"Sensor": {"Type": Application.TYPE_SOURCE}},
            {"Gateway": {"Type": Application.TYPE_SINK}},
        ]
    )
    reading = Message("reading", "Sensor", "Gateway", instructions=0, bytes=64)
    app.add_source_messages(reading)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        sim = Sim(topology, default_results_path=str(results))
        sim.deploy_app2(app, NoPlacementOfModules("none"), Sensors("sensors"), Direct())
        sim.run(seconds * PERIOD_MS)
        return _rows(Path(f"{results}_link.csv")), _rows(results.with_suffix(".csv"))


def _rows(path: Path) -> int:
    with path.open() as lines:
        return sum(1 for _ in lines) - 1


def leaf_flows(nodes: int, seconds: int) -> tuple[int, int]:
    """Sensors with a constant data flow to a gateway, whose power is measured once a second.

    Returns:
        Data flows measured, twice: one per sensor and second, in the place of a message.
    """
    import simpy
    from leaf.application import Application, SinkTask, SourceTask
    from leaf.infrastructure import Infrastructure, Link, Node
    from leaf.orchestrator import Orchestrator
    from leaf.power import PowerMeter, PowerModelLink, PowerModelNode

    class Fixed(Orchestrator):  # type: ignore[misc]
        def _processing_task_placement(self, task: Any, application: Any) -> Any:
            raise AssertionError("the flow has no task to place")

    env = simpy.Environment()
    infrastructure = Infrastructure()
    gateway = Node("gateway", power_model=PowerModelNode(power_per_cu=1))
    flows = []
    orchestrator = Fixed(infrastructure)
    for index in range(nodes):
        sensor = Node(f"sensor-{index}", power_model=PowerModelNode(power_per_cu=1))
        infrastructure.add_link(
            Link(sensor, gateway, bandwidth=1e6, power_model=PowerModelLink(1e-6), latency=8)
        )
        application = Application()
        source, sink = SourceTask(bound_node=sensor), SinkTask(bound_node=gateway)
        application.add_task(source)
        application.add_task(sink, incoming_data_flows=[(source, 512)])
        orchestrator.place(application)
        flows += application.data_flows()
    meter = PowerMeter(flows)
    env.process(meter.run(env))
    env.run(until=seconds)
    return nodes * len(meter.measurements), nodes * len(meter.measurements)
