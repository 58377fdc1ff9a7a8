"""What starts Mosquitto: the machine's own as a process, or an image's in a container.

Either way it lies in a private folder of the run, which has its configuration and, once it
listens, its socket; so nobody else can reach it, and two runs do not meet.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
_INSIDE = "/broker"
_PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
"""Where systems have it that keep it out of a user's PATH."""
_MAX_PATH = 100
"""Bytes of a path that every system takes for a Unix socket's."""
_SAYS = re.compile(r"\bmosquitto version (\d+(?:\.\d+)*)(?![\d.])(?=.)", re.ASCII | re.DOTALL)
"""With something behind it: a log may be read while it is being written."""
# Mosquitto lets its own user and group connect, who in a container are not simcore's. So whoever
# may enter the folder, which is closed to all others, is let in once the socket is there.
_OPENED = (
    'mosquitto "$@" & '
    f"until chmod 777 {SOCKET} 2>/dev/null; do kill -0 $! 2>/dev/null || break; sleep 0.01; done; "
    "wait $!"
)


@dataclass(frozen=True)
class Home:
    """The folder of one Mosquitto.

    Attributes:
        path: the folder.
    """

    path: Path

    @classmethod
    def make(cls, outside: Outside, configuration: str) -> Home:
        """Make one in the private directory of a run.

        Raises:
            UsageError: its path is too long for a Unix socket.
        """
        home = cls(Path(tempfile.mkdtemp(prefix="mqtt", dir=outside.directory.path)))
        if len(os.fsencode(home.socket)) > _MAX_PATH:
            raise UsageError(
                f"{home.socket} is too long for a Unix socket (more than {_MAX_PATH} bytes): "
                "set TMPDIR to a shorter directory"
            )
        # Mosquitto gives up being root, and a container has a user of its own: both come by way
        # of a directory that is closed to everybody else.
        home.path.chmod(0o777)
        file = home.path / CONFIGURATION
        file.write_text(configuration, encoding="utf-8")
        file.chmod(0o644)
        return home

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
        file = (base / program).absolute()
        return file if file.is_file() and os.access(file, os.X_OK) else None
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_PLACES])
    found = shutil.which(program or "mosquitto", path=path)
    return None if found is None else Path(found).absolute()


def version(program: Path) -> str:
    """What a Mosquitto says it is, as "2.0.11".

    Raises:
        UsageError: it is none, or one that cannot take part.
    """
    try:
        said = subprocess.run(
            [program, "-h"], capture_output=True, text=True, errors="replace", timeout=20,
            check=False, stdin=subprocess.DEVNULL,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"{program} cannot be asked for its version: {error}") from None
    found = _SAYS.match(said)
    if found is None:
        raise UsageError(f"{program} is no Mosquitto: it does not say its version")
    number = found[1]
    if int(number.partition(".")[0]) < 2:
        raise UsageError(f"{program} is Mosquitto {number}, and simcore needs 2.0 or newer")
    return number


def said_version(log: Path) -> str | None:
    """The version that a Mosquitto has said as it started, if it has come to that."""
    try:
        found = _SAYS.search(log.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return None
    return None if found is None else found[1]


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
        image: an image with `mosquitto` in its PATH, and a shell.
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
        from ..docker.files import bind

        outside = self.fleet.outside
        log = outside.log_of(self.name)
        outside.guard.log(log, self.log_cap)
        config = {
            "Image": self.image.id,
            "Entrypoint": ["sh", "-c", _OPENED, "sh"],
            "Cmd": ["-c", CONFIGURATION],
            "WorkingDir": _INSIDE,
            "User": hardening.USER,
            "Hostname": "container",
            "Labels": sweep.labels(outside.run_id, self.name),
            "AttachStdout": True,
            "AttachStderr": True,
            "HostConfig": {
                **hardening.settings({}, ()),
                "Mounts": [{**bind(self.home.path, _INSIDE), "ReadOnly": False}],
            },
        }
        return Container(self.fleet, self.fleet.new_name(self.name), config, log, None)
