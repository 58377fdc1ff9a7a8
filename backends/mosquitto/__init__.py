"""`implementation: mosquitto`: a real, unmodified Mosquitto as the MQTT broker of a run.

In a container, or as a process where there is no Docker. On virtual time it behaves as the broker
model does (`service: mqtt_broker`), and has the same digest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from simcore.commands import LOG, SURROUNDINGS, check_surroundings, timeouts
from simcore.errors import SimcoreError, UsageError
from simcore.failure import Phase
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
from ..mqtt.settings import DIALECTS, MODELLED, configuration, dialect_of
from . import program
from .participant import LISTENING, MosquittoParticipant
from .program import BoxedMosquitto, Home, LocalMosquitto

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.programs import Launcher
    from simcore.scenario.check import Checker
    from simcore.scenario.model import NodeSpec

BROKER = "mqtt_broker"
"""The service that is hosted; the node's `config` is its."""
IMAGE = "eclipse-mosquitto:2"
_IMAGE_VARIABLE = "SIMCORE_MOSQUITTO_IMAGE"
_INSTALL = "install it (Debian: apt install mosquitto), or name it with 'program'"
_NO_PROGRAM = f"there is no Mosquitto on this machine: {_INSTALL}"
_NO_LIBRARY = "containers need a library that is not installed: pip install 'simcore[docker]'"


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
                "machine's own, or in a container if one can be had and else as a process.",
            },
            "image": {
                "type": "string",
                "pattern": r"^\S+$",
                "errorMessage": "is the name of an image, as in eclipse-mosquitto:2",
                "default": IMAGE,
                "description": "An image with Mosquitto 2.0 or newer and a shell in it. "
                f"{_IMAGE_VARIABLE} in the environment names another default.",
            },
            "program": {
                "type": "string",
                "minLength": 1,
                "description": "The program of a process: a file, relative to the scenario, if "
                "there is a slash in it; else it is looked for in PATH and where systems keep it.",
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
        for where, key in (("container", "program"), ("process", "image")):
            if run == where and key in value:
                checker.problem((*path, key), f"{key!r} has no effect with run: {run}")
        library = find_spec("docker")
        boxed = library is not None and library.origin is not None  # a folder is no library
        if run == "container" and not boxed:
            checker.problem((*path, "run"), _NO_LIBRARY)
        if run == "container" or (run == "auto" and boxed and "program" not in value):
            return
        if program.find(value.get("program"), checker.base) is not None:
            return
        if "program" in value:
            place = (*path, "program")
            checker.problem(place, f"there is no such program: {value['program']!r}")
        elif run == "process":
            checker.problem((*path, "run"), _NO_PROGRAM)
        else:
            checker.problem((*path, "implementation"), f"{_NO_PROGRAM}; {_NO_LIBRARY}")

    def attach(self, federation: Federation, spec: NodeSpec) -> Node:
        """Make the node; its Mosquitto starts with all others, when everything is made."""
        patience = timeouts(spec.options)
        text = configuration(settings_of(spec.config), f"0 {program.SOCKET}")
        start = _starter(federation, spec)

        def judge(version: str) -> str | None:
            return _judge(federation, spec, version)

        def make(life: int) -> Participant:
            home = Home.make(federation.outside, text)

            def service(engine: Engine) -> ServiceHost:
                return ServiceHost(
                    MqttBroker(lambda settings: Broker(engine, settings)),
                    name=spec.name, seed=federation.seed, config=spec.config,
                    base=federation.scenario.base, freeze=freeze, life=life,
                )  # fmt: skip

            return MosquittoParticipant(
                federation, spec.name, start(home), home, service, judge,
                advice=_advise, life=life, **patience,
            )  # fmt: skip

        return host(federation, spec, make)

    def doctor(self) -> tuple[bool, str]:
        """Needs Mosquitto, or a Docker Engine, which has a line of its own."""
        found = program.find(None, FilePath())
        if found is None:
            return False, f"{_NO_PROGRAM}. With a Docker Engine it is not needed"
        try:
            return True, f"Mosquitto {program.version(found)}, {found}"
        except UsageError as error:
            return False, str(error)


def _starter(federation: Federation, spec: NodeSpec) -> Callable[[Home], Launcher]:
    """What starts a Mosquitto in its folder: a container, or a process."""
    run = spec.options.get("run", "auto")
    if run == "process":
        return _local(federation, spec)
    try:
        return _boxed(federation, spec)
    except SimcoreError as error:
        if run == "container":
            raise
        found = program.find(spec.options.get("program"), federation.scenario.base)
        if found is None:
            raise UsageError(
                f"{spec.name}: there is no Mosquitto on this machine, and none in a container: "
                f"{error}. Or {_INSTALL}; or take the model: service: {BROKER}"
            ) from None
        federation.say(f"{spec.name}: no container for Mosquitto: {error}")
        return _local(federation, spec)


def _local(federation: Federation, spec: NodeSpec) -> Callable[[Home], Launcher]:
    """What starts this machine's Mosquitto."""
    outside, cap = federation.outside, size(spec.options.get("log", LOG))
    found = program.find(spec.options.get("program"), federation.scenario.base)
    if found is None:
        raise UsageError(f"{spec.name}: {_NO_PROGRAM}")
    version = program.version(found)
    federation.say(f"{spec.name}: Mosquitto {version}, {found}")
    return lambda home: LocalMosquitto(outside, spec.name, found, home, cap)


def _boxed(federation: Federation, spec: NodeSpec) -> Callable[[Home], Launcher]:
    """What starts a Mosquitto in a container."""
    from ..docker import images
    from ..docker.fleet import Fleet

    options, cap = spec.options, size(spec.options.get("log", LOG))
    fleet = federation.outside.one(Fleet)
    name = options.get("image") or os.environ.get(_IMAGE_VARIABLE) or IMAGE
    image = fleet.image_of(spec.group, lambda: images.named(fleet.engine, name, federation.say))
    if fleet.transport("auto", image) != "shared":
        raise UsageError(
            "Mosquitto in a container is reached over a Unix socket, which the Docker Engine at "
            f"{fleet.engine.address} does not share with this machine: say run: process"
        )
    federation.note_part(f"image of {spec.group}", image.id)
    federation.say(f"{spec.name}: Mosquitto of the image {name}, in a container")
    return lambda home: BoxedMosquitto(fleet, spec.name, image, home, cap)


def _judge(federation: Federation, spec: NodeSpec, version: str) -> str | None:
    """Take note of the Mosquitto that takes part; what is wrong with it, if anything is."""
    federation.note_part(f"mosquitto of {spec.group}", version)
    found, wanted = dialect_of(version), spec.config.get("version")
    if wanted is not None:
        if found == DIALECTS[wanted]:
            return None
        return (
            f"is Mosquitto {version}, and its config asks for one like {wanted}: take another "
            "program or image, or leave 'version' out"
        )
    if found is None:
        federation.say(
            f"{spec.name}: Mosquitto {version} is none that service: {BROKER} models: its runs "
            "may differ"
        )
    elif found != MODELLED:
        [name] = [name for name, like in DIALECTS.items() if like == found]
        federation.say(
            f"{spec.name}: service: {BROKER} is the same as this Mosquitto, which is {version}, "
            f'with config: {{version: "{name}"}}'
        )
    return None


def _advise(phase: Phase, rule: str) -> str | None:
    if phase is LISTENING and rule == "process-ended":
        return (
            "it has to be Mosquitto 2.0 or newer; an image has to have mosquitto in its PATH, and "
            "a shell"
        )
    return None
