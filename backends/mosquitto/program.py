"""What starts Mosquitto: the machine's own as a process, or an image's in a container.

Either way it lies in a private folder of the run, which has its configuration and, once it
listens, its socket; so nobody else can reach it, and two runs do not meet.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from simcore.errors import UsageError
from simcore.launch import Child
from simcore.protocol.pipes import Pipes

if TYPE_CHECKING:
    from simcore.outside import Outside

    from ..docker.container import Container
    from ..docker.fleet import Fleet
    from ..docker.images import Image

SOCKET = "mqtt.sock"
CONFIGURATION = "mosquitto.conf"
IMAGE = "eclipse-mosquitto:2"
_INSIDE = "/broker"
_PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
"""Where systems have it that keep it out of a user's PATH."""

_numbers = count(1)


@dataclass(frozen=True)
class Home:
    """The folder of one Mosquitto.

    Attributes:
        path: the folder.
    """

    path: Path

    @classmethod
    def make(cls, outside: Outside, configuration: str) -> Home:
        """Make one in the private directory of a run."""
        path = outside.directory.path / f"mqtt{next(_numbers)}"
        path.mkdir()
        # Mosquitto gives up being root, and a container has a user of its own: both come by way
        # of a directory that is closed to everybody else.
        path.chmod(0o777)
        file = path / CONFIGURATION
        file.write_text(configuration, encoding="utf-8")
        file.chmod(0o644)
        return cls(path)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.path / SOCKET


def find(program: str | None, base: Path) -> Path | None:
    """The program on this machine, if there is one.

    Args:
        program: the key `program`; relative to the scenario if there is a slash in it.
        base: the scenario's folder.
    """
    if program is not None and "/" in program:
        file = base / program
        return file if os.access(file, os.X_OK) else None
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_PLACES])
    found = shutil.which(program or "mosquitto", path=path)
    return None if found is None else Path(found)


def version(program: Path) -> str:
    """What a Mosquitto says it is, as "2.0.11".

    Raises:
        UsageError: it is none.
    """
    try:
        said = subprocess.run(
            [program, "-h"], capture_output=True, text=True, timeout=20, check=False,
            stdin=subprocess.DEVNULL,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"{program} cannot be asked for its version: {error}") from None
    words = said.split()
    if words[:2] != ["mosquitto", "version"]:
        raise UsageError(f"{program} is no Mosquitto: it does not say its version")
    return words[2]


@dataclass(frozen=True)
class LocalMosquitto:
    """Starts the machine's Mosquitto; see `simcore.programs.Launcher`.

    Attributes:
        outside: of the run.
        name: of the node; the log is called so.
        program: the program.
        home: its folder.
        log_cap: bytes that its log may have.
    """

    outside: Outside
    name: str
    program: Path
    home: Home
    log_cap: int

    @property
    def command(self) -> Sequence[str]:
        """Program and arguments."""
        return [str(self.program), "-c", CONFIGURATION]

    def launch(self, environment: Mapping[str, str], stdio: Pipes | None) -> Child:
        """Start it in its folder."""
        return Child.launch(
            self.command,
            environment={**os.environ, **environment},
            directory=self.home.path,
            log=self.outside.log_of(self.name),
            guard=self.outside.guard,
            log_cap=self.log_cap,
        )


@dataclass(frozen=True)
class BoxedMosquitto:
    """Starts Mosquitto in a container, hardened as all are; see `simcore.programs.Launcher`.

    Attributes:
        fleet: the run's containers.
        name: of the node; the log is called so.
        image: an image with `mosquitto` in its PATH.
        home: its folder on this machine.
        log_cap: bytes that its log may have.
    """

    fleet: Fleet
    name: str
    image: Image
    home: Home
    log_cap: int

    @property
    def command(self) -> Sequence[str]:
        """The image's name, the program and its arguments."""
        return [self.image.name, "mosquitto", "-c", CONFIGURATION]

    def launch(self, environment: Mapping[str, str], stdio: Pipes | None) -> Container:
        """Begin to start it; it sees nothing of this machine but its folder."""
        from ..docker import hardening, sweep
        from ..docker.container import Container

        outside = self.fleet.outside
        log = outside.log_of(self.name)
        outside.guard.log(log, self.log_cap)
        host = hardening.settings({}, ())
        host["Mounts"] = [{"Type": "bind", "Source": str(self.home.path), "Target": _INSIDE}]
        config = {
            "Image": self.image.id,
            "Entrypoint": ["mosquitto"],
            "Cmd": ["-c", CONFIGURATION],
            "WorkingDir": _INSIDE,
            "User": hardening.USER,
            "Hostname": "container",
            "Labels": sweep.labels(outside.run_id, self.name),
            "AttachStdout": True,
            "AttachStderr": True,
            "HostConfig": host,
        }
        return Container(self.fleet, self.fleet.new_name(self.name), config, log, None)
