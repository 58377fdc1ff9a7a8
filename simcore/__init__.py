"""simcore: device-edge-cloud experiments on one exact virtual clock.

On the command line: `python -m simcore scenario.yaml`. In a program::

    import simcore

    scenario = simcore.load("scenario.yaml")
    with simcore.Federation(scenario, out="runs/mine") as federation:
        federation.env.run(until=federation.end)
    run = simcore.open_run("runs/mine")
    print(run.messages())

A model is a SimPy generator function that takes a `Node`; a service is a class whose methods
take a `Context`.
"""

from simcore.errors import (
    ExitCode,
    MissingDependency,
    ModelError,
    ResultsError,
    RunFailed,
    ScenarioError,
    SendError,
    SimcoreError,
    UnitError,
    UsageError,
    ZeroDelayLoop,
)
from simcore.federation import Federation
from simcore.message import Fate, Message
from simcore.node import Node
from simcore.plugins import Plugins
from simcore.protocol.service import Context, Overloaded, Service
from simcore.results.store import Run, open_run
from simcore.runner import RunResult, run_scenario
from simcore.scenario import Scenario, load, loads
from simcore.units import duration, seconds

__all__ = [
    "Context",
    "ExitCode",
    "Fate",
    "Federation",
    "Message",
    "MissingDependency",
    "ModelError",
    "Node",
    "Overloaded",
    "Plugins",
    "ResultsError",
    "Run",
    "RunFailed",
    "RunResult",
    "Scenario",
    "ScenarioError",
    "SendError",
    "Service",
    "SimcoreError",
    "UnitError",
    "UsageError",
    "ZeroDelayLoop",
    "duration",
    "load",
    "loads",
    "open_run",
    "run_scenario",
    "seconds",
]
