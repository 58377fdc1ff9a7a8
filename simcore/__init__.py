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

What is named here is imported when it is first asked for: a participant in another process or
in a container needs `simcore.protocol` and the standard library, and nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simcore.errors import (
        ExitCode,
        MissingDependency,
        ModelError,
        ParticipantError,
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
    "ParticipantError",
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

_HOMES = {
    "Context": "simcore.protocol.service",
    "ExitCode": "simcore.errors",
    "Fate": "simcore.message",
    "Federation": "simcore.federation",
    "Message": "simcore.message",
    "MissingDependency": "simcore.errors",
    "ModelError": "simcore.errors",
    "Node": "simcore.node",
    "Overloaded": "simcore.protocol.service",
    "ParticipantError": "simcore.errors",
    "Plugins": "simcore.plugins",
    "ResultsError": "simcore.errors",
    "Run": "simcore.results.store",
    "RunFailed": "simcore.errors",
    "RunResult": "simcore.runner",
    "Scenario": "simcore.scenario",
    "ScenarioError": "simcore.errors",
    "SendError": "simcore.errors",
    "Service": "simcore.protocol.service",
    "SimcoreError": "simcore.errors",
    "UnitError": "simcore.errors",
    "UsageError": "simcore.errors",
    "ZeroDelayLoop": "simcore.errors",
    "duration": "simcore.units",
    "load": "simcore.scenario",
    "loads": "simcore.scenario",
    "open_run": "simcore.results.store",
    "run_scenario": "simcore.runner",
    "seconds": "simcore.units",
}
"""The module of each public name."""


def __getattr__(name: str) -> object:
    """Import a public name (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'simcore' has no attribute {name!r}")
    found: object = getattr(import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Public names, imported or not."""
    return sorted({*globals(), *__all__})
