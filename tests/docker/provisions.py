"""Images and wheels for tests on a machine without an image registry.

A base image is made of the machine's own Debian packages, with the sources its apt uses, and the
wheels are those that its pip finds. Each is made once: the engine keeps the images, and the user's
cache the rest, so that a fresh engine has them soon.

Who has a registry sets SIMCORE_BASE_IMAGE (`python:3.11-slim`); SIMCORE_WHEELS names a folder of
wheels.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docker import DockerClient
from docker.errors import APIError, BuildError, ImageNotFound
from engine import Missing

ROOT = Path(__file__).parents[2]
PACKAGES = ("python3", "python3-pip", "python3-venv")
REPOSITORY = "simcore-base"
MOSQUITTO = """
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN apt-get update \\
    && apt-get install --yes --no-install-recommends mosquitto \\
    && rm -rf /var/lib/apt/lists/*
"""


def _cache() -> Path:
    place = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(place) if os.path.isabs(place) else Path.home() / ".cache"
    return folder / "simcore" / "tests"


@contextmanager
def _alone(name: str) -> Iterator[Path]:
    """The cache, while no other process makes the thing of this name."""
    cache = _cache()
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield cache


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _has(client: DockerClient, image: str) -> bool:
    try:
        client.images.get(image)
    except ImageNotFound:
        return False
    return True


def _run(command: Sequence[object], **options: Any) -> None:
    words = list(map(str, command))
    done = subprocess.run(
        words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, **options
    )
    if done.returncode:
        raise Missing(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")


# -- The base image ----------------------------------------------------------------------------


def _suite() -> str:
    release = platform.freedesktop_os_release()
    if "debian" not in (release["ID"], *release.get("ID_LIKE", "").split()):
        raise Missing("this is no Debian: name a base image with SIMCORE_BASE_IMAGE")
    return release["VERSION_CODENAME"]


def sources(suite: str, apt: Path = Path("/etc/apt")) -> list[Path]:
    """The files of apt's sources that hold this suite; those of other publishers hold none."""
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    entry = re.compile(
        rf"^(?:deb\s(?:\s*\[.*\])?\s*\S+|Suites:(?:\s*\S+)*)\s+{suite}(?:\s|$)".replace(
            r"\s", "[ \t]"
        ),
        re.MULTILINE,
    )
    return [
        file
        for file in files
        if file.suffix in (".list", ".sources")
        and file.is_file()
        and entry.search(file.read_text())
    ]


def _make_root(suite: str, tar: Path) -> None:
    program = shutil.which("mmdebstrap")
    if program is None:
        raise Missing("mmdebstrap is not installed; or name a base image with SIMCORE_BASE_IMAGE")
    # The folder is the cache's, so that the renaming is one step.
    with tempfile.TemporaryDirectory(dir=tar.parent) as folder:
        made = Path(folder) / "root.tar"
        options = ["--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
        _run([program, *options, suite, made, *sources(suite)])
        made.rename(tar)


def _pull(client: DockerClient, image: str) -> None:
    try:
        client.images.pull(image)
    except APIError as error:
        raise Missing(f"SIMCORE_BASE_IMAGE: {image} cannot be pulled: {error}") from error


def base_image(client: DockerClient) -> str:
    """An image with Python, pip and apt, and nothing of simcore's."""
    given = os.environ.get("SIMCORE_BASE_IMAGE", "")
    if given:
        if not _has(client, given):
            _pull(client, given)
        return given
    suite = _suite()
    tag = _digest(suite, platform.machine(), *PACKAGES)
    with _alone("base") as cache:
        if not _has(client, f"{REPOSITORY}:{tag}"):
            tar = cache / f"base-{tag}.tar"
            if not tar.exists():
                _make_root(suite, tar)
            client.api.import_image_from_file(
                str(tar), REPOSITORY, tag, changes=["ENV LANG=C.UTF-8", 'CMD ["python3"]']
            )
        client.api.tag(f"{REPOSITORY}:{tag}", REPOSITORY, "latest")
    return f"{REPOSITORY}:{tag}"


def mosquitto_image(client: DockerClient, base: str) -> str:
    """The base with Debian's unmodified Mosquitto."""
    name = f"simcore-mosquitto:{_digest(client.images.get(base).id, MOSQUITTO)}"
    with _alone("mosquitto"):
        if not _has(client, name):
            try:
                client.images.build(
                    fileobj=io.BytesIO(MOSQUITTO.encode()),
                    buildargs={"BASE_IMAGE": base},
                    tag=name,
                    rm=True,
                    forcerm=True,
                )
            except BuildError as error:
                log = "".join(line.get("stream", "") for line in error.build_log)
                raise Missing(f"the image of Mosquitto cannot be built: {error}\n{log}") from error
        client.api.tag(name, "simcore-mosquitto", "latest")
    return name


# -- Wheels ------------------------------------------------------------------------------------


def requirements() -> list[Path]:
    """The lists of what the services in containers need."""
    return sorted((ROOT / "backends" / "services").glob("*/requirements.txt"))


def _python_of(client: DockerClient, image: str) -> str:
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    told = client.containers.run(
        image, ["python3", "-c", program], remove=True, network_mode="none"
    )
    return str(told.decode().strip())


def wheels(client: DockerClient, base: str) -> Path:
    """A folder with a wheel of each package that a service needs, for the Python of the base."""
    given = os.environ.get("SIMCORE_WHEELS", "")
    if given:
        return Path(given)
    lists = requirements()
    with _alone("wheels") as cache:
        contents = [file.read_text(encoding="utf-8") for file in lists]
        identity = str(client.images.get(base).id)
        folder = cache / f"wheels-{_digest(identity, platform.machine(), *contents)}"
        if not folder.is_dir():
            version = _python_of(client, base)
            with tempfile.TemporaryDirectory(dir=cache) as temporary:
                made = Path(temporary) / "wheels"
                made.mkdir()
                if lists:
                    _run([
                        sys.executable, "-m", "pip", "download", "--quiet", "--dest", made,
                        "--only-binary=:all:", "--python-version", version,
                        *(word for file in lists for word in ("-r", file)),
                    ])  # fmt: skip
                made.rename(folder)
    return folder
