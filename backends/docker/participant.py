"""A participant in a container: what starts it, and its health."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simcore.protocol.pipes import Pipes
from simcore.remote import Remote
from simcore.units import duration

from . import files, sweep
from .container import Container
from .door import INSIDE
from .engine import EngineError
from .files import Place
from .fleet import Fleet
from .hardening import USER, settings
from .images import Image
from .keys import log_cap

if TYPE_CHECKING:
    from pathlib import Path

BASE = "/scenario"
"""Where a container finds the scenario's folder."""


@dataclass(frozen=True)
class ContainerLauncher:
    """Starts the container of a participant, anew for each life.

    Attributes:
        fleet: the run's containers.
        name: of the participant; its log is called so.
        image: what it is made of.
        program: what it runs and its arguments; empty: what the image says.
        options: the node's keys, as written.
        mounted: what it sees of this machine's files.
        copied: the same of those that cannot be mounted.
    """

    fleet: Fleet
    name: str
    image: Image
    program: Sequence[str]
    options: Mapping[str, Any]
    mounted: Sequence[Place]
    copied: Sequence[Place]

    @property
    def command(self) -> Sequence[str]:
        """The image's name and the program."""
        return [self.image.name, *self.program]

    def launch(self, environment: Mapping[str, str], stdio: Pipes | None) -> Container:
        """Begin to start it; see `simcore.programs.Launcher`."""
        mounted, variables = list(self.mounted), dict(environment)
        transport, _, path = variables["SIMCORE_ADDRESS"].partition(":")
        if transport == "unix":
            socket = self.fleet.outside.directory.path / path
            mounted.append(Place(socket.parent, INSIDE))
            variables["SIMCORE_ADDRESS"] = f"unix:{INSIDE}/{socket.name}"
        return Container(*self.making(variables, mounted, stdio))

    def making(
        self, environment: Mapping[str, str], mounted: Sequence[Place], stdio: Pipes | None
    ) -> tuple[Fleet, str, Mapping[str, Any], Path, Pipes | None, Mapping[str, bytes]]:
        """The arguments of the container; its log is watched from now on."""
        outside = self.fleet.outside
        log = outside.log_of(self.name)
        outside.guard.start()
        outside.guard.log(log, log_cap(self.options))
        copies = files.packed(self.copied)
        config = self._config(environment, mounted, stdio)
        return self.fleet, self.fleet.new_name(self.name), config, log, stdio, copies

    def _config(
        self, environment: Mapping[str, str], mounted: Sequence[Place], stdio: Pipes | None
    ) -> dict[str, Any]:
        options = self.options
        variables = {
            "PYTHONHASHSEED": "0",
            "PYTHONUNBUFFERED": "1",
            **options.get("environment", {}),
            **environment,
        }
        allow = options.get("allow", ())
        host = settings(options.get("limits", {}), allow)
        host["Mounts"] = files.mounts(mounted) + files.volumes(self.copied)
        config: dict[str, Any] = {
            "Image": self.image.id,
            "Env": [f"{name}={value}" for name, value in variables.items()],
            "Labels": sweep.labels(self.fleet.outside.run_id, self.name),
            "Hostname": "container",  # else it would be a random number, and differ in each run
            "AttachStdout": True,
            "AttachStderr": True,
            "HostConfig": host,
        }
        if "root" not in allow:
            config["User"] = USER
        if any(each.target.startswith(BASE) for each in (*self.mounted, *self.copied)):
            config["WorkingDir"] = BASE
        if self.program:
            config["Entrypoint"], config["Cmd"] = [self.program[0]], list(self.program[1:])
        if stdio is not None:
            config |= {"AttachStdin": True, "OpenStdin": True, "StdinOnce": True}
        return config


class ContainerParticipant(Remote):
    """A participant in a container, which is ready when it says so and its health is good.

    Args:
        health: the key `health`.
        start_timeout: seconds of wall time for both.

    All else as for `Remote`.
    """

    running: Container | None

    def __init__(
        self, *arguments: Any, health: Mapping[str, Any] | None, start_timeout: float, **more: Any
    ) -> None:
        super().__init__(*arguments, start_timeout=start_timeout, **more)
        self._health = health
        self._patience = start_timeout

    def ready(self, now: int) -> int | None:
        """Wait until it is ready; see `Participant.ready`.

        Raises:
            ParticipantError: it is not, in time or at all.
        """
        following = super().ready(now)
        if self._health is not None:
            self._await_health(self._health)
        return following

    def _await_health(self, health: Mapping[str, Any]) -> None:
        container, command = self.running, health["command"]
        assert container is not None
        pause = duration(health.get("interval", "200ms")) / 1e9
        deadline = time.monotonic() + self._patience
        while True:
            self.federation.check_stop()
            try:
                code, said = container.run(command)
            except EngineError as error:
                self._fail("health", f"{self.name}: its health cannot be asked for: {error}")
            if code == 0:
                return
            if time.monotonic() + pause > deadline:
                self._fail(
                    "health",
                    f"{self.name} is ready, but its health command {' '.join(command)!r} did not "
                    f"succeed within {self._patience:g} s: at last it exited with code {code}"
                    + (f" and said {said!r}" if said else ""),
                )
            time.sleep(pause)


def places(base: Path, named: Sequence[str] | None, hosted: bool) -> list[Place]:
    """What of the scenario's folder a container sees.

    Args:
        base: the scenario's folder.
        named: the key `files`.
        hosted: whether a service of simcore's is hosted, which sees all of it by default.
    """
    if named is not None:
        return files.of_keys(named, base, BASE)
    return [Place(base, BASE)] if hosted else []
