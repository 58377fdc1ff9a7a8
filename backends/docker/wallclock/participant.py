"""A container in real time as a participant: its start, its patience, and what failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from simcore.answers import Answers
from simcore.commands import timeouts
from simcore.failure import Phase
from simcore.hosting import host
from simcore.launch import LaunchError, Status
from simcore.message import Message
from simcore.participant import Participant
from simcore.programs import Running
from simcore.protocol.pipes import Pipes

from ..container import Container
from ..engine import EngineError
from ..freezer import EngineFreezer, Freezer, freezer_of
from ..participant import ContainerLauncher, ContainerParticipant
from .adapter import Adapter, Talk
from .keys import KIND
from .lines import Lines
from .outbox import Outbox
from .web import Web

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.node import Node
    from simcore.scenario.model import NodeSpec

_HERE = "127.0.0.1"
_MARGIN = 10.0
"""Seconds after which an adapter that says nothing of a container is given up."""

_log = logging.getLogger("simcore.docker")


class _Announced:
    """What the user of one run was told about freezers; `outside.one(_Announced)`."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._told: set[str] = set()

    def say(self, freezer: Freezer) -> None:
        """Tell what holds containers, once."""
        if freezer.name not in self._told:
            self._told.add(freezer.name)
            slow = "; each time takes tens of milliseconds: keep windows long"
            self._federation.say(
                "docker: containers in real time are held between windows by "
                f"{freezer.name}{slow if isinstance(freezer, EngineFreezer) else ''}"
            )


class PacedContainer(Container):
    """A container with its adapter, which is set to work by `pace`."""

    adapter: Adapter | None = None

    def await_start(self, timeout_s: float) -> bool:
        """Wait until it is started; see `Paced.await_start`."""
        try:
            self._start.result(timeout_s)
        except TimeoutError:
            return False
        except CancelledError:
            raise LaunchError("docker", "it is no longer wanted") from None
        return True

    def inspect(self) -> Mapping[str, Any]:
        """What the engine knows of it.

        Raises:
            EngineError: the engine does not say.
        """
        found: Mapping[str, Any] = self._engine.ask(
            f"look at the container {self.name}", lambda: self.api.inspect_container(self.name)
        )
        return found

    def pace(self, adapter: Adapter) -> None:
        """Have an adapter let it run and hold it."""
        self.adapter = adapter
        adapter.start()

    def kill(self) -> Status:
        """Have it removed; see `Container.kill`."""
        if self.adapter is not None:
            self.adapter.stop()
        return super().kill()


@dataclass(frozen=True)
class PacedLauncher(ContainerLauncher):
    """Starts a container with its adapter; see `ContainerLauncher`."""

    def launch(self, environment: Mapping[str, str], stdio: Pipes | None) -> Container:
        """Begin to start it; see `simcore.programs.Launcher`."""
        assert stdio is not None
        talk: Mapping[str, Any] = self.options.get("talk", {})
        ours, its = (None, None) if "http" in talk else Pipes.pair()
        try:
            container = PacedContainer(*self.making({}, (), its))
        except BaseException:
            if ours is not None:
                ours.close()
            raise
        finally:
            if its is not None:
                its.close()
        container.pace(
            Adapter(
                container,
                stdio,
                environment,
                partial(self._talk, talk, container, ours),
                partial(self._freezer, container),
                timeouts(self.options)["start_timeout"],
            )
        )
        return container

    def _config(self, *arguments: Any) -> dict[str, Any]:
        config = super()._config(*arguments)
        http = self.options.get("talk", {}).get("http")
        if http is not None:
            port = f"{http['port']}/tcp"
            config["ExposedPorts"] = {port: {}}
            config["HostConfig"]["NetworkMode"] = "bridge"
            config["HostConfig"]["PortBindings"] = {port: [{"HostIp": _HERE, "HostPort": ""}]}
        return config

    def _talk(
        self,
        talk: Mapping[str, Any],
        container: PacedContainer,
        pipes: Pipes | None,
        outbox: Outbox,
    ) -> Talk:
        kind = talk.get("kind", KIND)
        if pipes is not None:
            log = self.fleet.outside.log_of(self.name)
            return Lines(pipes, outbox, kind, talk.get("to"), log)
        http = talk["http"]
        return Web(http, outbox, kind, self.name, lambda: _address(container, http["port"]))

    def _freezer(self, container: PacedContainer) -> Freezer:
        found = container.inspect()
        return freezer_of(self.fleet.engine, found["Id"], found["State"]["Pid"])


def _address(container: PacedContainer, port: int) -> tuple[str, int]:
    """Where a container's port is to be reached.

    Raises:
        EngineError: nowhere.
    """
    found = container.inspect()["NetworkSettings"]["Ports"].get(f"{port}/tcp")
    if not found:
        raise EngineError(f"the Docker Engine did not publish the port {port} of {container.name}")
    return _HERE, int(found[0]["HostPort"])


class PacedParticipant(ContainerParticipant):
    """A container that is let run in real time.

    Args:
        health: the key `health`.
        answers: whether what it says answers messages.
        start_timeout: seconds of wall time until it can be spoken with.

    All else as for `Remote`.
    """

    running: PacedContainer | None
    _dying = 1.0  # its adapter has waited for the engine, or the container goes on

    def __init__(
        self, federation: Federation, name: str, launcher: PacedLauncher, *,
        health: Mapping[str, Any] | None, answers: bool, start_timeout: float, **more: Any,
    ) -> None:  # fmt: skip
        self._unanswered: dict[str, Message] = {}
        rules = Answers(
            "free_running", [name], federation.nodes, federation.hint, find=self._answered
        )
        super().__init__(
            federation, name, [name], launcher, kind="free_running", dialect=rules,
            transport="stdio", health=None, advice=self._advise,
            start_timeout=start_timeout + _MARGIN, **more,
        )  # fmt: skip
        self._patience = start_timeout
        self._probe = health
        self._answers = answers
        self._calm = self._timeout

    def ready(self, now: int) -> int | None:
        """Wait until it can be spoken with and is held; see `Participant.ready`."""
        if self._probe is not None:
            self._await_start()
            self._await_health(self._probe, time.monotonic() + self._patience)  # before it is held
        following = super().ready(now)
        container = self.running
        assert container is not None and container.adapter is not None
        freezer = container.adapter.freezer
        assert freezer is not None
        self.federation.note_part(f"freezer of {self.name}", freezer.name)
        self.outside.one(_Announced).say(freezer)
        return following

    def _await_start(self) -> None:
        container = self.running
        assert container is not None
        try:
            while not container.await_start(0.1):
                self.federation.check_stop()
        except LaunchError as error:
            self._explain(error)

    def begin(self, until: int, inputs: Sequence[Message]) -> None:
        """Open a window; see `Participant.begin`."""
        if self._answers:
            self._unanswered |= {message.id: message for message in inputs}
        self._timeout = self._calm + (until - self._since) / 1e9  # it takes that long
        super().begin(until, inputs)

    def _answered(self, id: str, at: int) -> Message | None:
        return self._unanswered.pop(id, None)

    def shut_down(self) -> None:
        """Have the adapter end, and say what was left open."""
        if self._unanswered and not self._over:
            _log.warning(
                "%s has not answered %d of the messages that it was sent, the first of them %s",
                self.name, len(self._unanswered), next(iter(self._unanswered)),
            )  # fmt: skip
        super().shut_down()

    def close(self) -> None:
        """Wait for the adapter's end, and have the log say how well windows were kept."""
        container, over = self.running, self._over
        super().close()
        if container is not None and container.adapter is not None and not over:
            with self.outside.log_of(self.name).open("a", encoding="utf-8") as log:
                log.write(f"simcore: {container.adapter.pace}\n")

    def _check_exit(self, running: Running) -> None:
        """It has not heard that the run is over, and is removed by force."""

    def kill(self) -> None:
        """Have it removed; never raises."""
        super().kill()
        self._unanswered.clear()

    def _advise(self, phase: Phase, rule: str) -> str | None:
        """What the user may do when it has failed; see `Remote`."""
        if rule == "process-ended":
            return (
                "it has to run as long as the run does. It runs as nobody, with a file system "
                "that it cannot write to and without capabilities; 'allow' gives it more"
            )
        return None


def attach(federation: Federation, spec: NodeSpec, launcher: PacedLauncher) -> Node:
    """Make a node behind which a container in real time stands.

    Args:
        federation: the run.
        spec: the node.
        launcher: starts its container.
    """
    options = spec.options
    talk: Mapping[str, Any] = options.get("talk", {})

    def make(life: int) -> Participant:
        return PacedParticipant(
            federation, spec.name, launcher, health=options.get("health"),
            answers="to" not in talk, life=life, **timeouts(options),
        )  # fmt: skip

    return host(federation, spec, make, kind="free_running")
