"""A participant in a container: what starts it, and its health."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simcore.failure import Phase
from simcore.protocol.pipes import Pipes
from simcore.remote import Remote
from simcore.units import duration

from . import sweep
from .container import Container
from .door import INSIDE
from .engine import EngineError
from .files import Mount, Share, bind
from .fleet import Fleet
from .hardening import USER, settings
from .images import Image
from .keys import log_cap

BASE = "/scenario"
"""Where a container finds the scenario's folder."""
_ENGINE_KNOWS = 10.0
"""Seconds after which the engine, on a busy machine, knows of an end that the kernel knows of."""
_SLICE = 0.1
"""Seconds between two looks at whether the run was asked to stop."""
_SETTLING = 5.0
"""Seconds that a container may take to end once the engine has refused to run a command in it."""


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
        copied: the same of those that cannot be mounted, and why not.
    """

    fleet: Fleet
    name: str
    image: Image
    program: Sequence[str]
    options: Mapping[str, Any]
    mounted: Sequence[Share]
    copied: Mapping[Share, str]

    @property
    def command(self) -> Sequence[str]:
        """The image's name and the program."""
        return [self.image.name, *self.program]

    def launch(self, environment: Mapping[str, str], stdio: Pipes | None) -> Container:
        """Begin to start it; see `simcore.programs.Launcher`."""
        seen, variables = [], dict(environment)
        transport, _, path = variables["SIMCORE_ADDRESS"].partition(":")
        if transport == "unix":
            socket = Path(path)
            seen.append(bind(socket.parent, INSIDE))
            variables["SIMCORE_ADDRESS"] = f"unix:{INSIDE}/{socket.name}"
        return Container(*self.making(variables, seen, stdio))

    def making(
        self, environment: Mapping[str, str], seen: Sequence[Mount], stdio: Pipes | None
    ) -> tuple[Fleet, str, Mapping[str, Any], Path, Pipes | None, Mapping[str, bytes]]:
        """The arguments of the container; its log is watched from now on.

        Args:
            environment: what it finds in its environment, beside what its keys say.
            seen: what it sees of this machine's files, beside what its keys say.
            stdio: its standard input and output, if it is spoken with over them.
        """
        outside = self.fleet.outside
        log = outside.log_of(self.name)
        outside.guard.start()
        outside.guard.log(log, log_cap(self.options))
        copies = {share.root: self.fleet.archive(share, why) for share, why in self.copied.items()}
        config = self._config(environment, seen, stdio)
        return self.fleet, self.fleet.new_name(self.name), config, log, stdio, copies

    def _config(
        self, environment: Mapping[str, str], seen: Sequence[Mount], stdio: Pipes | None
    ) -> dict[str, Any]:
        options = self.options
        variables = {
            "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0"),  # `verify` sets two
            "PYTHONUNBUFFERED": "1",
            **options.get("environment", {}),
            **environment,
        }
        labels = sweep.labels(self.fleet.outside.run_id, self.name)
        allow = options.get("allow", ())
        host = settings(options.get("limits", {}), allow)
        host["Mounts"] = [
            *(mount for share in self.mounted for mount in share.mounts()),
            *(share.volume(labels) for share in self.copied),
            *seen,
        ]
        config: dict[str, Any] = {
            "Image": self.image.id,
            "Env": [f"{name}={value}" for name, value in variables.items()],
            "Labels": labels,
            "Hostname": "container",  # else it would be a random number, and differ in each run
            "Healthcheck": {"Test": ["NONE"]},  # the image's own would come by the machine's clock
            "AttachStdout": True,
            "AttachStderr": True,
            "HostConfig": host,
        }
        if "root" not in allow:
            config["User"] = USER
        if any(share.root == BASE for share in (*self.mounted, *self.copied)):
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
        start_timeout: seconds of wall time for both together.
        advice: what its user may do when it fails, where the failure itself does not say it.

    All else as for `Remote`.
    """

    running: Container | None
    _dying = _ENGINE_KNOWS

    def __init__(
        self,
        *arguments: Any,
        health: Mapping[str, Any] | None,
        start_timeout: float,
        advice: Callable[[Phase, str], str | None] | None = None,
        **more: Any,
    ) -> None:
        def advise(phase: Phase, rule: str) -> str | None:
            if advice is None or (self.running is not None and self.running.starved):
                return None  # who lacked memory knows all
            return advice(phase, rule)

        super().__init__(*arguments, start_timeout=start_timeout, advice=advise, **more)
        self._health = health
        self._patience = start_timeout

    def ready(self, now: int) -> int | None:
        """Wait until it is ready; see `Participant.ready`.

        Raises:
            ParticipantError: it is not, in time or at all.
        """
        deadline = time.monotonic() + self._patience
        following = super().ready(now)
        if self._health is not None:
            self._await_health(self._health, deadline)
        return following

    def _await_health(self, health: Mapping[str, Any], deadline: float) -> None:
        command = health["command"]
        words = f"{self.name}: its health command {' '.join(command)!r}"
        pause = duration(health.get("interval", "200ms")) / 1e9
        last = None
        while True:
            answer = self._try(command, deadline)
            if answer is not None and answer[0] == 0:
                return
            last = answer or last
            if answer is None or time.monotonic() + pause > deadline:
                break
            again = time.monotonic() + pause
            while (left := again - time.monotonic()) > 0:
                self.federation.check_stop()
                time.sleep(min(left, _SLICE))
        if last is None:
            self._fail("health", f"{words} did not end within {self._patience:g} s")
        code, said = last
        self._fail(
            "health",
            f"{words} did not succeed within {self._patience:g} s: at last it exited with code "
            f"{code}" + (f" and said {said!r}" if said else ""),
        )

    def _try(self, command: Sequence[str], deadline: float) -> tuple[int, str] | None:
        """The command's exit code and last line; None if it does not end in time."""
        container, answer = self.running, Future[tuple[int, str]]()
        assert container is not None

        def execute() -> None:
            try:
                answer.set_result(container.run(command))
            except EngineError as error:
                answer.set_exception(error)

        # The engine does not say when a command has ended, and it may never end.
        threading.Thread(target=execute, daemon=True).start()
        while True:
            self.federation.check_stop()
            try:
                return answer.result(_SLICE)
            except TimeoutError:
                if time.monotonic() > deadline:
                    return None
            except EngineError as error:
                # The engine may know of its end before we have been told.
                runs = container.describe() == "is running"
                if container.wait(_SETTLING if runs else _ENGINE_KNOWS):
                    self._fail(
                        "process-ended",
                        f"{self.name} {container.describe()} before its health was good",
                    )
                self._fail("health", f"{self.name}: its health cannot be asked for: {error}")
