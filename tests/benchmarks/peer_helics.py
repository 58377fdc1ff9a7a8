"""The measured cycle in HELICS: a time request of each of two federates, with a value each way.

    python peer_helics.py CORE OFFSET

A federate with a core of its own in each of two processes, and a broker, which is in the first of
them: with a process of its own for it a cycle took longer. Both have a period of 1 s. With an offset
of 0.5 s the second is granted each value and publishes the answer, with which the first is then
granted its next second: that is what simcore's cycle is. With an offset of 0 both are on their way
at the same time, and an answer takes two cycles: the least that a time request can cost.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import helics


def federate(name: str, other: str, core: str, offset: float) -> tuple[Any, Any, Any]:
    """A federate that publishes a value and has the other's."""
    info = helics.helicsCreateFederateInfo()
    helics.helicsFederateInfoSetCoreTypeFromString(info, core)
    helics.helicsFederateInfoSetCoreInitString(info, "--federates=1")
    helics.helicsFederateInfoSetTimeProperty(info, helics.HELICS_PROPERTY_TIME_PERIOD, 1.0)
    helics.helicsFederateInfoSetTimeProperty(info, helics.HELICS_PROPERTY_TIME_OFFSET, offset)
    made = helics.helicsCreateValueFederate(name, info)
    publication = helics.helicsFederateRegisterGlobalPublication(
        made, f"{name}/value", helics.HELICS_DATA_TYPE_DOUBLE, ""
    )
    subscription = helics.helicsFederateRegisterSubscription(made, f"{other}/value", "")
    helics.helicsFederateEnterExecutingMode(made)
    return made, publication, subscription


def call(core: str, offset: float) -> None:
    """Begin a cycle whenever the gate is open."""
    from gate import Gate

    gate = Gate()
    broker = helics.helicsCreateBroker(core, "", "-f 2")
    echo = subprocess.Popen([sys.executable, __file__, core, str(offset), "answer"])
    made, publication, subscription = federate("caller", "echo", core, 0.0)
    now, value = 0.0, 0.0
    while gate.open():
        helics.helicsPublicationPublishDouble(publication, value)
        now = helics.helicsFederateRequestTime(made, now + 1.0)
        answer = helics.helicsInputGetDouble(subscription)
        assert now % 1 == 0 and (answer == value or not offset), (now, answer, value)
        value = answer + 0.5
    helics.helicsFederateDisconnect(made)
    echo.wait(60)
    helics.helicsBrokerDisconnect(broker)
    helics.helicsCloseLibrary()


def answer(core: str, offset: float) -> None:
    """Give back what comes, as long as something does."""
    made, publication, subscription = federate("echo", "caller", core, offset)
    if not offset:
        helics.helicsPublicationPublishDouble(publication, 0.0)
    now = helics.helicsFederateRequestTime(made, offset or 1.0)
    while helics.helicsInputIsUpdated(subscription):
        value = helics.helicsInputGetDouble(subscription)
        helics.helicsPublicationPublishDouble(publication, value)
        now = helics.helicsFederateRequestTime(made, now + 1.0)
    helics.helicsFederateDisconnect(made)
    helics.helicsCloseLibrary()


if __name__ == "__main__":
    run = answer if sys.argv[3:] else call
    run(sys.argv[1], float(sys.argv[2]))
