"""`implementation: mosquitto`: a real, unmodified Mosquitto as the MQTT broker of a run.

In a container, or as a process where there is no Docker. On virtual time it behaves as the broker
model does (`service: mqtt_broker`), and has the same digest.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from simcore.commands import LOG, SURROUNDINGS, check_surroundings, timeouts
from simcore.errors import SimcoreError, UsageError
from simcore.hosting import host
from simcore.node import Node
from simcore.participant import Participant
from simcore.payload import freeze
from simcore.plugins import Determinism, Path
from simcore.protocol.service import ServiceHost
from simcore.units import size

from .. import service_keys
from ..mqtt.broker import Broker
from ..mqtt.mosquitto import Mosquitto as Engine
from ..mqtt.service import MqttBroker, settings_of
from ..mqtt.settings import configuration
from . import program
from .participant import MosquittoParticipant
from .program import IMAGE, BoxedMosquitto, Home, LocalMosquitto

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.programs import Launcher
    from simcore.scenario.check import Checker
    from simcore.scenario.model import NodeSpec

BROKER = "mqtt_broker"
"""The service that is hosted; the node's `config` is its."""
_NO_PROGRAM = (
    "there is no Mosquitto on this machine: install it (Debian: apt install mosquitto), or name it "
    "with 'program'"
)

_log = logging.getLogger("simcore.mosquitto")


class Mosquitto:
    """Plug-in `implementation: mosquitto`."""

    name = "mosquitto"
    determinism: Determinism = "exact"
    schema: Mapping[str, Any] = {
        "type": "object",
        "description": "A real Mosquitto: the broker of the `mqtt` section, on virtual time.",
        "additionalProperties": False,
        "properties": {
            "run": {
                "enum": ["auto", "container", "process"],
                "default": "auto",
                "description": "Where Mosquitto runs: in a container, as a process with this "
                "machine's own, or in a container if there is a Docker Engine.",
            },
            "image": {
                "type": "string",
                "pattern": r"^\S+$",
                "errorMessage": "is the name of an image, as in eclipse-mosquitto:2",
                "default": IMAGE,
                "description": "An image with Mosquitto 2.0 in it. SIMCORE_MOSQUITTO_IMAGE in the "
                "environment names another default.",
            },
            "program": {
                "type": "string",
                "minLength": 1,
                "description": "With `run: process`: the program, relative to the scenario if "
                "there is a slash in it.",
                "examples": ["/usr/sbin/mosquitto"],
            },
            **{key: SURROUNDINGS[key] for key in ("log", "start_timeout", "timeout")},
        },
    }

    def check(self, value: Any, path: Path, checker: Checker) -> None:
        """Report what is missing or impossible, without asking the engine."""
        service_keys.check_service({**value, "service": BROKER}, path, checker)
        check_surroundings(value, path, checker)
        run = value.get("run", "auto")
        if run == "container" and find_spec("docker") is None:
            checker.problem(
                (*path, "run"),
                "containers need a library that is not installed: pip install 'simcore[docker]'",
            )
        if run == "container" and "program" in value:
            checker.problem((*path, "program"), "'program' has no effect in a container")
        if run == "process":
            if "image" in value:
                checker.problem((*path, "image"), "'image' has no effect in a process")
            if program.find(value.get("program"), checker.base) is None:
                place = "program" if "program" in value else "run"
                checker.problem((*path, place), _NO_PROGRAM)

    def attach(self, federation: Federation, spec: NodeSpec) -> Node:
        """Make the node; its Mosquitto starts with all others, when everything is made."""
        options = spec.options
        patience = timeouts(options)
        text = configuration(settings_of(spec.config), f"0 {program.SOCKET}")
        start = _starter(federation, spec)

        def make(life: int) -> Participant:
            home = Home.make(federation.outside, text)

            def service(engine: Engine) -> ServiceHost:
                return ServiceHost(
                    MqttBroker(lambda settings: Broker(engine, settings)),
                    name=spec.name, seed=federation.seed, config=spec.config,
                    base=federation.scenario.base, freeze=freeze, life=life,
                )  # fmt: skip

            return MosquittoParticipant(
                federation, spec.name, start(home), home, service, life=life, **patience
            )

        return host(federation, spec, make)

    def doctor(self) -> tuple[bool, str]:
        """Needs a Docker Engine, or Mosquitto."""
        found = program.find(None, FilePath())
        if found is not None:
            try:
                return True, f"{found}, {program.version(found)}"
            except UsageError as error:
                return False, str(error)
        return False, f"{_NO_PROGRAM}; in a container it needs a Docker Engine, see backend docker"


def _starter(federation: Federation, spec: NodeSpec) -> Callable[[Home], Launcher]:
    """What starts a Mosquitto in its folder: a container, or a process."""
    options, base = spec.options, federation.scenario.base
    run, outside = options.get("run", "auto"), federation.outside
    log_cap = size(options.get("log", LOG))
    found = None if run == "container" else program.find(options.get("program"), base)
    if run != "process":
        try:
            return _boxed(federation, spec, log_cap)
        except SimcoreError as error:
            if found is None:
                raise
            _log.info("no container for %s: %s", spec.name, error)
    if found is None:
        raise UsageError(_NO_PROGRAM)
    version = program.version(found)
    federation.note_part("mosquitto", version)
    federation.say(f"{spec.name}: Mosquitto {version}, {found}")
    return lambda home: LocalMosquitto(outside, spec.name, found, home, log_cap)


def _boxed(federation: Federation, spec: NodeSpec, log_cap: int) -> Callable[[Home], Launcher]:
    """What starts a Mosquitto in a container."""
    from ..docker import images
    from ..docker.fleet import Fleet

    options = spec.options
    fleet = federation.outside.one(Fleet)
    name = options.get("image") or os.environ.get("SIMCORE_MOSQUITTO_IMAGE") or IMAGE
    image = fleet.image_of(spec.group, lambda: images.named(fleet.engine, name, federation.say))
    if fleet.transport("auto", image) != "shared":
        raise UsageError(
            f"{spec.name}: Mosquitto in a container is reached over a Unix socket, which the "
            f"Docker Engine at {fleet.engine.address} does not share with this machine: say "
            "run: process"
        )
    federation.note_part(f"image of {spec.group}", image.id)
    return lambda home: BoxedMosquitto(fleet, spec.name, image, home, log_cap)
