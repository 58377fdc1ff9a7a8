"""What a deployed service is told: options, or environment variables of the same names."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from simcore.errors import UsageError

from .logs import FORMATS
from .mqtt import Given

VARIABLE = "SIMCORE_DEPLOY_"
"""How environment variables begin: `--qos 0` is SIMCORE_DEPLOY_QOS=0 as well."""

PORT, TLS_PORT = 1883, 8883


@dataclass(frozen=True, slots=True)
class Access:
    """Where the broker is and what it wants.

    Attributes:
        qos: of all messages, both ways.
        user: None: no name is given.
        tls: whether the connection is encrypted.
        authority: file of the certificates that are trusted; None: the system's.
    """

    host: str
    port: int
    qos: int = 1
    user: str | None = None
    password: str | None = None
    tls: bool = False
    authority: str | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Options:
    """What to run, as whom, and where messages come from.

    Attributes:
        service: `package.module:Class`, `file.py:Class` in `base`, or an installed service.
        name: of the node.
        base: the scenario's folder, or one with the files that the service needs.
        config: of the node, as in the scenario.
        mqtt: what the scenario says of the node's own MQTT.
        seed: of the scenario.
        life: which start of the node this is, from 1.
        prefix: first levels of all topics.
        client: name of the client at the broker.
        log: one of `logs.FORMATS`.
    """

    service: str
    name: str
    base: Path
    config: Mapping[str, Any]
    mqtt: Given
    seed: int
    life: int
    prefix: str
    access: Access
    client: str
    log: str


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (try --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python3 -m simcore_backends.services.deploy",
        description="Run a service of simcore with the messages of an MQTT broker.",
        epilog=f"Each option is also an environment variable, as {VARIABLE}BROKER=host:1883; an "
        f"option wins. The broker's password is only {VARIABLE}PASSWORD, or in a file that "
        "--password-file names.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--service", help="package.module:Class, file.py:Class in BASE, or an installed service")
    add("--name", help="name of the node")
    add("--broker", metavar="HOST[:PORT]", help=f"port {PORT}, with TLS {TLS_PORT}, if not given")
    add("--config", help="the node's config: JSON, or @FILE", default="{}")
    add("--mqtt", metavar="JSON", help="of the service's own MQTT: broker, subscribe, events")
    add("--base", help="folder of the files that the config names", default=".")
    add("--seed", help="of the scenario", default="1")
    add("--life", help="which start of the node this is, from 1", default="1")
    add("--prefix", help="first levels of all topics", default="simcore")
    add("--qos", help="quality of service of all messages: 0, 1 or 2", default="1")
    add("--user", help="name at the broker")
    add("--password-file", metavar="FILE", help="its first line is the password")
    add("--tls", action="store_const", const="yes", help="encrypt, trust the system's authorities")
    add("--ca", metavar="FILE", help="encrypt, trust the certificates in this file (PEM)")
    add("--client-id", metavar="ID", help="name of this client, PREFIX-NAME if not given")
    add("--log", help=f"{' or '.join(FORMATS)} lines", default="plain")
    return parser


def read(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Options:
    """The options of a command line and its environment.

    Raises:
        UsageError: one of them makes no sense, or is missing.
        SystemExit: help was asked for.
    """
    parser = _parser()
    names = [action.dest for action in parser._actions if action.dest != "help"]
    found = {name: environment.get(f"{VARIABLE}{name.upper()}") for name in names}
    parser.set_defaults(**{name: value for name, value in found.items() if value})
    given = parser.parse_args(arguments)
    for name in ("service", "name", "broker"):
        if not getattr(given, name):
            raise UsageError(f"--{name} is missing, and so is {VARIABLE}{name.upper()}")
    if given.tls not in (None, "yes", "no"):
        raise UsageError(f"{VARIABLE}TLS is {given.tls!r}: yes or no")
    if given.log not in FORMATS:
        raise UsageError(f"--log is {given.log!r}: {' or '.join(FORMATS)}")
    tls = given.tls == "yes" or given.ca is not None
    host, port = _address(given.broker, TLS_PORT if tls else PORT)
    config = _object("--config", given.config, '{"kind": "pong"}')
    return Options(
        service=given.service,
        name=given.name,
        base=_folder(given.base),
        config=config,
        mqtt=_mqtt(given.mqtt, config),
        seed=_number("--seed", given.seed, 0),
        life=_number("--life", given.life, 1),
        prefix=given.prefix,
        access=Access(
            host=host,
            port=port,
            qos=_number("--qos", given.qos, 0, 2),
            user=given.user,
            password=_password(given, environment),
            tls=tls,
            authority=given.ca,
        ),
        client=given.client_id or f"{given.prefix}-{given.name}".replace("/", "-"),
        log=given.log,
    )


def _number(name: str, text: str, least: int, most: int | None = None) -> int:
    if text.isdecimal() and int(text) >= least and (most is None or int(text) <= most):
        return int(text)
    span = f"from {least}" if most is None else f"from {least} to {most}"
    raise UsageError(f"{name} is {text!r}: a whole number {span}")


def _address(text: str, port: int) -> tuple[str, int]:
    """Host and port of `host`, `host:port`, `[IPv6]` or `[IPv6]:port`."""
    host, colon, rest = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, rest = text, str(port)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise UsageError(f"--broker is {text!r}: an IPv6 address goes in brackets, as [::1]:1883")
    if not host or not rest.isdecimal() or not 0 < int(rest) < 65536:
        raise UsageError(f"--broker is {text!r}: write a host, or host:port, as 10.0.0.2:1883")
    return host, int(rest)


def _folder(text: str) -> Path:
    folder = Path(text)
    if not folder.is_dir():
        raise UsageError(f"--base is {text!r}: there is no such folder")
    return folder.absolute()


def _mqtt(text: str | None, config: Mapping[str, Any]) -> Given:
    """What is said of the service's own MQTT; without it, the broker is as services call it."""
    example = '{"broker": "hub", "subscribe": [{"filter": "plant/#", "qos": 1}], "events": true}'
    called = config.get("broker")
    found: dict[str, Any] = {"broker": called if isinstance(called, str) else "broker"}
    found |= {"subscribe": [], "events": False}
    found |= {} if text is None else _object("--mqtt", text, example)
    broker, filters, events = found["broker"], found["subscribe"], found["events"]
    fits = type(broker) is str and type(filters) is list and type(events) is bool
    if not fits or len(found) > 3 or not all(map(_is_filter, filters)):
        raise UsageError(f"--mqtt makes no sense: {text}: write, as {example}")
    return Given(broker, tuple((each["filter"], each.get("qos", 0)) for each in filters), events)


def _is_filter(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and {"filter"} <= value.keys() <= {"filter", "qos"}
        and isinstance(value["filter"], str)
        and type(value.get("qos", 0)) is int
    )


def _object(option: str, text: str, example: str) -> dict[str, Any]:
    """The object in a JSON text, or in the file of `@FILE`."""
    source = option
    if text.startswith("@"):
        source = text[1:]
        text = _text(source, option)
    try:
        found = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{source} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{source} is {text[:40]!r}: write a JSON object, as {example}")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it holds {constant}")


def _password(given: argparse.Namespace, environment: Mapping[str, str]) -> str | None:
    password = environment.get(f"{VARIABLE}PASSWORD")
    if given.password_file:
        password = _text(given.password_file, "--password-file").partition("\n")[0].rstrip("\r")
    if password is not None and given.user is None:
        raise UsageError("there is a password for the broker, and no --user")
    return password


def _text(file: str, option: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{option}: {file} cannot be read: {error}") from error
