"""A node of a scenario, put on this machine by scripts/deploy_to_edge.sh as on any other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from brokers import Mosquitto
from docker import DockerClient
from docker.errors import NotFound
from support import ROOT

NODE = f"node-{os.getpid()}"
"""Of a name that no real deployment on this machine has."""


def deploy(scenario: Path, broker: Mosquitto, *options: str) -> subprocess.CompletedProcess[str]:
    """Have the script put the node on this machine."""
    words = ["--scenario", str(scenario), "--name", NODE, "--broker", broker.address]
    words += ["--target", "local", "--network", "host", *options]
    return subprocess.run(
        [ROOT / "scripts" / "deploy_to_edge.sh", *words],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def deployed(
    engine: DockerClient, scenario: Path, broker: Mosquitto, *options: str
) -> Iterator[Any]:
    """The node's container, put there by the script and removed at the end."""
    try:
        ended = deploy(scenario, broker, *options)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.splitlines()[-2:] == [
            f"simcore-{NODE} runs on local; what it says is shown by",
            f"docker logs --follow simcore-{NODE}",
        ]
        yield engine.containers.get(f"simcore-{NODE}")
    finally:
        with suppress(NotFound):
            engine.containers.get(f"simcore-{NODE}").remove(force=True, v=True)


def forget_images(engine: DockerClient) -> None:
    """Remove the node's own images; those of the services are kept, for they take long to build."""
    for image in engine.images.list(f"simcore-deployed/{NODE}"):
        for tag in image.tags:  # another run of the tests may have made the same one
            if tag.startswith(f"simcore-deployed/{NODE}"):
                engine.images.remove(tag)
