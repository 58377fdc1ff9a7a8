"""The measured cycle in HELICS: a time request of two federates, with a value each way.

    python peer_helics.py CORE

A federate with a core of its own in each of two processes, and a broker, which is in the first of
them: a process of its own for it took longer. Period 1 s. In each cycle each federate publishes a
value and requests the next second, and is granted it with the value that the other published
before. That is the least that HELICS can be asked for: an answer to a value takes two of these.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import helics


def federate(name: str, other: str, core: str) -> tuple[Any, Any, Any]:
    """A federate that publishes a value and has the other's."""
    info = helics.helicsCreateFederateInfo()
    helics.helicsFederateInfoSetCoreTypeFromString(info, core)
    helics.helicsFederateInfoSetCoreInitString(info, "--federates=1")
    helics.helicsFederateInfoSetTimeProperty(info, helics.HELICS_PROPERTY_TIME_PERIOD, 1.0)
    made = helics.helicsCreateValueFederate(name, info)
    publication = helics.helicsFederateRegisterGlobalPublication(
        made, f"{name}/value", helics.HELICS_DATA_TYPE_DOUBLE, ""
    )
    subscription = helics.helicsFederateRegisterSubscription(made, f"{other}/value", "")
    helics.helicsFederateEnterExecutingMode(made)
    return made, publication, subscription


def caller(core: str) -> None:
    """Begin a cycle whenever the gate is open."""
    from gate import Gate

    gate = Gate()
    broker = helics.helicsCreateBroker(core, "", "-f 2")
    echo = subprocess.Popen([sys.executable, __file__, core, "echo"])
    made, publication, subscription = federate("caller", "echo", core)
    now, value = 0.0, 0.0
    while gate.open():
        helics.helicsPublicationPublishDouble(publication, value)
        now = helics.helicsFederateRequestTime(made, now + 1.0)
        value = helics.helicsInputGetDouble(subscription) + 0.5
    helics.helicsFederateDisconnect(made)
    echo.wait(60)
    helics.helicsBrokerDisconnect(broker)
    helics.helicsCloseLibrary()


def answer(core: str) -> None:
    """Give back what comes, as long as something does."""
    made, publication, subscription = federate("echo", "caller", core)
    now, value, comes = 0.0, 0.0, True
    while comes:
        helics.helicsPublicationPublishDouble(publication, value)
        now = helics.helicsFederateRequestTime(made, now + 1.0)
        comes = helics.helicsInputIsUpdated(subscription)
        value = helics.helicsInputGetDouble(subscription)
    helics.helicsFederateDisconnect(made)
    helics.helicsCloseLibrary()


if __name__ == "__main__":
    caller(sys.argv[1]) if len(sys.argv) == 2 else answer(sys.argv[1])
