"""`python3 -m simcore_backends.services.deploy`: see the package, and `--help`."""

from __future__ import annotations

import importlib.metadata
import logging
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcore.errors import ExitCode, MissingDependency, SimcoreError, UsageError
from simcore.protocol.loading import load_service
from simcore.protocol.service import check_service
from simcore.streams import stream

from .logs import start_logging
from .mqtt import Mqtt
from .node import Node, make_host
from .options import Options, read
from .topics import Topics

if TYPE_CHECKING:
    from .broker import Broker

log = logging.getLogger("simcore")


class Stop:
    """Whether a signal has asked the service to end."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, _number: int, _frame: Any) -> None:
        """Note it; whatever is under way is finished."""
        self.asked = True


def find_service(name: str, base: Path) -> Any:
    """A service class, by file, module, or name of an installed one.

    Raises:
        UsageError: it is not there.
    """
    if ":" in name:
        found = load_service(name, base)
    else:
        entries = importlib.metadata.entry_points(group="simcore.services", name=name)
        if not entries:
            raise UsageError(
                f"no service {name!r} is installed: write package.module:Class or file.py:Class"
            )
        found = load_service(next(iter(entries)).value, base)
    check_service(found, name)
    return found


def make(options: Options, clock: Callable[[], int]) -> tuple[Node, Broker]:
    """A node and its connection, neither of which is started.

    Raises:
        UsageError: an option names what is not there.
        MissingDependency: paho-mqtt.
    """
    try:
        from .broker import Broker
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("paho"):
            raise
        raise MissingDependency(
            "paho-mqtt", extra="mqtt", purpose="a service in deploy mode"
        ) from None
    topics = Topics(options.prefix, options.name)
    service = find_service(options.service, options.base)
    host = make_host(
        service, options.name, options.seed, options.life, options.config, options.base
    )
    random = stream(options.seed, options.name, "pauses between attempts to connect")
    try:
        broker = Broker(options.access, topics, options.client, random)
    except (OSError, ValueError) as error:
        raise UsageError(f"--ca: {options.access.authority} cannot be used: {error}") from error
    try:
        mqtt = Mqtt(options.mqtt, topics, broker)
    except ValueError as error:
        raise UsageError(f"--mqtt: {error}") from error
    broker.listener = node = Node(host, topics, broker, mqtt, clock)
    return node, broker


def serve(node: Node, broker: Broker, stop: Stop) -> None:
    """Handle messages and timers until a signal comes."""
    while not stop.asked:
        broker.step(node.due)
        node.tick()
    broker.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a service to its end; returns the exit code."""
    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        options = read(sys.argv[1:] if arguments is None else arguments)
    except SimcoreError as error:
        sys.stderr.write(f"deploy: {error}\n")
        return error.exit_code
    start_logging(options.log)
    try:
        node, broker = make(options, time.monotonic_ns)
        node.start()
    except SimcoreError as error:
        log.error("the service did not start: %s", error)
        return error.exit_code
    except Exception:
        log.exception("the service did not start")
        return ExitCode.FAILED
    log.info("%s started as %s", options.service, options.name)
    serve(node, broker, stop)
    log.info("ended by a signal")
    return ExitCode.OK


if __name__ == "__main__":
    raise SystemExit(main())
