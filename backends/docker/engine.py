"""The Docker Engine: reaching it, and asking it again when it fails.

An engine can be busy, restart or lose a connection, and what was asked of it then works a moment
later. So what the engine itself got wrong is tried again, a few times and with a word in the run's
log. What it refuses (no such image, a command that cannot be started) is final.
"""

from __future__ import annotations

import errno
import http.client
import logging
import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from simcore.errors import MissingDependency, SimcoreError

if TYPE_CHECKING:
    from docker import APIClient

T = TypeVar("T")

PAUSES = (0.1, 0.4, 1.6)
"""Seconds before the second try and those after it."""
TIMEOUT = 60
"""Seconds that the engine has for an answer; not for a build."""
_SOCKET = "/var/run/docker.sock"
"""Where an engine is that nothing names."""
# docker-py keeps one pool of connections for each URL that it asks, 25 by default, and closes the
# eldest of them though it is in use when there is one more.
_POOLS = {"num_pools": 256, "max_pool_size": 32}

_log = logging.getLogger("simcore.docker")


class EngineError(SimcoreError):
    """The Docker Engine cannot be reached, fails, or refuses something.

    Args:
        message: what happened, and what to do about it.
        said: what the engine or the system said, in one line.
    """

    reason = "docker"

    def __init__(self, message: str, said: str = "") -> None:
        super().__init__(message)
        self.said = said


class Refused(EngineError):
    """What was asked of the engine is not possible, however often it is asked."""


class Absent(EngineError):
    """There is no Docker Engine on this machine, and none is named."""


class Engine:
    """The engine that DOCKER_HOST names, or DOCKER_CONTEXT, or the `docker` command's own context.

    Attributes:
        api: docker-py's client.
        address: where the engine is, as "unix:///var/run/docker.sock".

    Raises:
        MissingDependency: docker-py is not installed.
        Absent: nothing names an engine, and there is none here.
        EngineError: no engine can be reached.
    """

    def __init__(self) -> None:
        docker = _library()
        self.address = os.environ.get("DOCKER_HOST") or "the address of its context"
        try:
            options = docker.utils.kwargs_from_env()
            if "base_url" not in options:
                options |= _of_context(docker)
            self.address = str(options.setdefault("base_url", f"unix://{_SOCKET}"))
            self.api: APIClient = docker.APIClient(
                **options, version="auto", timeout=TIMEOUT, **_POOLS
            )
        except docker.errors.TLSParameterError as error:
            raise EngineError(
                f"the certificates for the Docker Engine at {self.address} cannot be used: with "
                "DOCKER_TLS_VERIFY, ca.pem, cert.pem and key.pem are in the folder that "
                f"DOCKER_CERT_PATH names ({text_of(error).partition('. TLS config')[0]})"
            ) from None
        except (docker.errors.DockerException, OSError, ValueError) as error:
            here = self.address == f"unix://{_SOCKET}" and not os.environ.get("DOCKER_HOST")
            kind = Absent if here and not os.path.lexists(_SOCKET) else EngineError
            raise kind(unreachable(self.address, error)) from None

    def ask(self, what: str, action: Callable[[], T]) -> T:
        """Do something, again if the engine fails.

        Args:
            what: is done, as in "the Docker Engine failed to ...".
            action: may be called more than once.

        Raises:
            Refused: it refused.
            EngineError: it failed each time.
        """
        for pause in (*PAUSES, None):
            try:
                return action()
            except failures() as error:
                said = text_of(error)
                if not is_engine_fault(error):
                    raise Refused(f"the Docker Engine refuses to {what}: {said}", said) from None
                if pause is None:
                    raise EngineError(
                        f"the Docker Engine at {self.address} failed to {what}, "
                        f"{len(PAUSES) + 1} times: {said}", said,
                    ) from None  # fmt: skip
                _log.warning(
                    "the Docker Engine failed to %s (%s); it is asked again in %g s",
                    what, said, pause,
                )  # fmt: skip
                time.sleep(pause)
        raise AssertionError("unreachable")

    def create(self, name: str, config: Mapping[str, Any]) -> str:
        """Create a container; its id.

        Args:
            name: which no other container has.
            config: as the engine wants it.

        Raises:
            EngineError: see `ask`.
        """

        def action() -> str:
            try:
                found = self.api.create_container_from_config(dict(config), name)
            except failures() as error:
                if not is_status(error, 409):
                    raise
                # The first try was heard and its answer lost.
                found = self.api.inspect_container(name)
            return str(found["Id"])

        return self.ask(f"create the container {name}", action)

    def version(self) -> str:
        """What the engine says it is, for the manifest."""
        found: dict[str, Any] = self.ask("say its version", self.api.version)
        return str(found.get("Version", "unknown"))

    def close(self) -> None:
        """Let go of all connections."""
        self.api.close()


def _library() -> Any:
    try:
        import docker
        import docker.errors
        import docker.utils
    except ImportError:
        raise MissingDependency(
            "docker", extra="docker", purpose="implementation: docker"
        ) from None
    return docker


def _of_context(docker: Any) -> dict[str, Any]:
    """Where the context of the `docker` command is, as Docker Desktop and Colima set it."""
    from docker.context import ContextAPI

    name = os.environ.get("DOCKER_CONTEXT")
    context = ContextAPI.get_context(name)
    if context is None:  # another engine than the one that was meant would be no help
        raise EngineError(
            f"there is no docker context {name!r} (named by DOCKER_CONTEXT)" if name
            else "the current docker context is not there: choose one with docker context use"
        )  # fmt: skip
    if context.name == "default" or not context.Host:
        return {}
    options: dict[str, Any] = {"base_url": context.Host}
    if context.TLSConfig is not None:
        options["tls"] = context.TLSConfig
    return options


def failures() -> tuple[type[Exception], ...]:
    """What docker-py raises."""
    import requests
    import urllib3
    from docker.errors import DockerException

    # An answer that is followed line by line, and ends too early: docker-py reads it from below.
    cut = (urllib3.exceptions.HTTPError, http.client.HTTPException)
    return DockerException, requests.RequestException, OSError, *cut


def is_engine_fault(error: BaseException) -> bool:
    """Whether the engine itself failed, so that the same may work a moment later."""
    from docker.errors import APIError

    if isinstance(error, APIError):
        # runc's complaints about a command or a mount come with 500 as well, on older engines.
        return bool(error.is_server_error()) and "OCI runtime" not in text_of(error)
    return True


def is_status(error: BaseException | None, status: int) -> bool:
    """Whether the engine answered with this status of HTTP."""
    response = getattr(error, "response", None)
    return getattr(response, "status_code", None) == status


def text_of(error: BaseException) -> str:
    """What went wrong, in one line and without the library's own words."""
    said = getattr(error, "explanation", None) or str(error) or type(error).__name__
    return " ".join(str(said).split())


def unreachable(address: str, error: BaseException) -> str:
    """Why no engine can be reached, and what to do about it."""
    numbers = {
        each.errno
        for each in _chain(error)
        # Numbers of errors of encryption are their own.
        if isinstance(each, OSError) and not isinstance(each, ssl.SSLError)
    }
    if numbers & {errno.EACCES, errno.EPERM}:
        return (
            f"no permission to use the Docker Engine at {address}: add yourself to the group "
            "docker and log in again, or run Docker rootless"
        )
    named = " (named by DOCKER_HOST)" if os.environ.get("DOCKER_HOST") else ""
    remedy = "is it running? Start it, as with: sudo systemctl start docker"
    if named:
        remedy = "is that right, and is it running?"
    return f"no Docker Engine answers at {address}{named}: {remedy} ({_cause(error)})"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, what it came of, and what it carries: urllib3 wraps what the system said."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        further = [each.__cause__, each.__context__, *each.args]
        waiting += [other for other in further if isinstance(other, BaseException)]


def _cause(error: BaseException) -> str:
    """What the system said, or else the library."""
    for each in _chain(error):
        if isinstance(each, OSError) and each.strerror:
            return each.strerror
    return text_of(error)
