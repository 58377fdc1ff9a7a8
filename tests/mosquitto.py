"""A real Mosquitto for tests: a process of its own with a Unix socket, or a port."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from types import TracebackType

import pytest
from simcore_backends.mqtt.settings import (
    Dialect,
    Settings,
    configuration,
    dialect_of,
)
from simcore_backends.mqtt.wire import Address
from support import reserved_port, unavailable


def program() -> str:
    """The path of Mosquitto: the one that SIMCORE_MOSQUITTO names, or the installed one."""
    path = os.environ.get("SIMCORE_MOSQUITTO", "mosquitto")
    found = shutil.which(path, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        unavailable(f"{path} is not installed")
    return found


def dialect() -> Dialect:
    """What its version is like."""
    told = subprocess.run([program(), "-h"], capture_output=True, text=True, check=False).stdout
    version = told.split()[2]
    found = dialect_of(version)
    if found is None:
        unavailable(f"the model knows no Mosquitto {version}")
    return found


def connect(address: Address) -> socket.socket:
    """A connection of a test's own."""
    if not isinstance(address, str):
        return socket.create_connection(address)
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(address)
    return sock


class Started:
    """A Mosquitto that is under way, and takes connections.

    Args:
        settings: what it is set to.
        tcp: whether it listens on a port of the loopback instead of a Unix socket.
        extra: further lines of its configuration.
    """

    def __init__(self, settings: Settings, *, tcp: bool = False, extra: str = "") -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mqtt")
        folder = Path(self._folder.name)
        self.address: Address = str(folder / "socket")
        listener = f"0 {self.address}"
        self._held = contextlib.ExitStack()
        if tcp:
            port = self._held.enter_context(reserved_port())
            self.address = ("127.0.0.1", port)
            listener = f"{port} 127.0.0.1"
        file = folder / "mosquitto.conf"
        extra += "user root\n" if os.geteuid() == 0 else ""
        # Nobody reads its log once it runs, so that it must not be long.
        extra += "connection_messages false\n"
        file.write_text(configuration(settings, listener) + extra, encoding="utf-8")
        self.process = subprocess.Popen([program(), "-c", str(file)], stderr=subprocess.PIPE)
        self._await_start()

    def __enter__(self) -> Started:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()
        self._held.close()
        self._folder.cleanup()

    def _await_start(self) -> None:
        log = self.process.stderr
        assert log is not None
        told = b""
        while b" running" not in told:
            line = log.readline()
            told += line
            if not line:
                pytest.fail(f"Mosquitto does not start: {told.decode()}")
        while self.process.poll() is None:
            # Some versions say that they run before they listen.
            with contextlib.suppress(OSError), closing(connect(self.address)):
                return
