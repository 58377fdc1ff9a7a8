"""A Docker Engine of a test's own, which may be killed.

It lives in a network namespace of its own, for a second one would change the bridge of the first;
so its containers have no network.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path
from types import TracebackType

import pytest
from docker import DockerClient
from support import PATIENCE, require, unavailable


class PrivateEngine:
    """A `dockerd`, started and ended as often as one likes; a context manager.

    Args:
        folder: for its data and its log; the name is short, as sockets need it.
    """

    def __init__(self, folder: Path) -> None:
        if os.geteuid() != 0:
            unavailable("only root can start a Docker Engine beside the one that runs")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.host = f"unix://{folder}/engine.sock"

    def __enter__(self) -> PrivateEngine:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.start()  # one that was killed has left its containers where they are
        with closing(self.client()) as client:
            for container in client.containers.list(all=True):
                container.remove(force=True, v=True)
        self.end(signal.SIGTERM)
        for mount in self._mounts():
            subprocess.run(["umount", "--lazy", mount], check=True)
        shutil.rmtree(self._folder)

    def client(self) -> DockerClient:
        """A client of it, to be closed."""
        return DockerClient(base_url=self.host, version="1.41", timeout=120)

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers."""
        if self._process is not None:
            return
        folder = self._folder
        (folder / "pid").unlink(missing_ok=True)  # of one that was killed
        # It dies with the test, whatever becomes of that.
        command = [require("setpriv"), "--pdeathsig", "KILL", require("unshare"), "--net"]
        command += [require("dockerd"), f"--host={self.host}", f"--data-root={folder}/data"]
        command += [f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"]
        command += ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (folder / "log").read_text(errors="replace").splitlines()[-20:]
                pytest.fail("\n".join(["the private Docker Engine does not start:", *said]))
            time.sleep(0.05)

    def end(self, number: int) -> None:
        """Have it end by this signal."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(PATIENCE)
        self._process = None

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(self.host.removeprefix("unix://"))
                sock.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return sock.recv(1000).startswith(b"HTTP/1.0 200")
            except OSError:
                return False

    def _mounts(self) -> list[str]:
        """What is still mounted below its folder, innermost first."""
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        return sorted(
            (each for each in mounts if each.startswith(f"{self._folder}/")), reverse=True
        )
