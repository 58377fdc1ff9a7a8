"""Makes ahead what the tests with Docker need: `python tests/docker/prepare.py`.

It says what it made or found, and how long that took. What is missing is an error in CI; elsewhere
the tests are skipped then, and this says why.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from engine import Missing, connect
from provisions import base_image, mosquitto_image, wheels

Made = TypeVar("Made")


def _timed(what: str, make: Callable[[], Made]) -> Made:
    start = time.monotonic()
    made = make()
    sys.stdout.write(f"{what}: {made} ({time.monotonic() - start:.1f} s)\n")
    sys.stdout.flush()
    return made


def main() -> int:
    """Make all; the exit code."""
    try:
        client = connect()
        sys.stdout.write(f"Docker Engine {client.version()['Version']}\n")
        base = _timed("base image", lambda: base_image(client))
        _timed("Mosquitto image", lambda: mosquitto_image(client, base))
        folder = _timed("wheels", lambda: wheels(client, base))
        size = sum(file.stat().st_size for file in folder.iterdir())
        sys.stdout.write(f"{len(list(folder.iterdir()))} wheels, {size / 1e6:.0f} MB\n")
    except Missing as error:
        sys.stderr.write(f"tests with Docker cannot run: {error}\n")
        return int(os.environ.get("CI", "").lower() in ("1", "true", "yes"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
