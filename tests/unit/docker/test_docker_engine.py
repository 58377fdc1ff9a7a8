"""Why no engine can be reached, and when one is asked again. Needs docker-py, and no engine."""

from __future__ import annotations

import errno
import gc
import hashlib
import json
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from simcore_backends.docker import Docker
from simcore_backends.docker import engine as module
from simcore_backends.docker.engine import Engine, EngineError, Refused, is_engine_fault, text_of
from support import reserved_port

pytestmark = [
    pytest.mark.docker,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    yield
    gc.collect()  # docker-py leaves the socket open of a connection that failed


def refusal() -> str:
    with pytest.raises(EngineError) as caught:
        Engine()
    return str(caught.value)


def test_nothing_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert refusal() == (
        f"no Docker Engine answers at unix://{tmp_path}/none.sock (named by DOCKER_HOST): is that "
        "right, and is it running? (No such file or directory)"
    )


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with reserved_port() as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        assert refusal() == (
            f"no Docker Engine answers at tcp://127.0.0.1:{port} (named by DOCKER_HOST): is that "
            "right, and is it running? (Connection refused)"
        )


@pytest.mark.parametrize("host", ["gopher://here", "tcp://here:port"])
def test_no_address(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    said = refusal()
    assert said.startswith(f"no Docker Engine answers at {host} (named by DOCKER_HOST): ")


def test_no_permission() -> None:
    error = module.unreachable(
        "unix:///run/docker.sock", _wrapped(PermissionError(errno.EACCES, "x"))
    )
    assert error == (
        "no permission to use the Docker Engine at unix:///run/docker.sock: add yourself to the "
        "group docker and log in again, or run Docker rootless"
    )


def test_not_running() -> None:
    error = module.unreachable(
        "unix:///run/docker.sock", _wrapped(FileNotFoundError(errno.ENOENT, "No such file"))
    )
    assert error == (
        "no Docker Engine answers at unix:///run/docker.sock: is it running? Start it, as with: "
        "sudo systemctl start docker (No such file)"
    )


def _wrapped(error: OSError) -> Exception:
    """As docker-py gives it, by way of requests and urllib3."""
    from docker.errors import DockerException
    from requests.exceptions import ConnectionError as Lost
    from urllib3.exceptions import ProtocolError

    outer = DockerException("Error while fetching server API version")
    outer.__cause__ = Lost(ProtocolError("Connection aborted.", error))
    return outer


def _make_context(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str) -> str:
    """A context of the `docker` command; where its engine is."""
    meta = folder / "contexts" / "meta" / _digest(name)
    meta.mkdir(parents=True)
    host = f"unix://{folder}/{name}.sock"
    (meta / "meta.json").write_text(
        json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host}}})
    )
    return host


def test_contexts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One is the current one, as Docker Desktop and Colima set it, unless a variable names another."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"currentContext": "colima"}))
    colima = _make_context(monkeypatch, folder, "colima")
    other = _make_context(monkeypatch, folder, "other")
    assert refusal().startswith(f"no Docker Engine answers at {colima}: is it running?")
    monkeypatch.setenv("DOCKER_CONTEXT", "other")
    assert refusal().startswith(f"no Docker Engine answers at {other}: is it running?")


def test_a_context_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The local engine is not taken for it."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"currentContext": "gone"}))
    assert refusal() == (
        "the current docker context is not there: choose one with docker context use"
    )
    monkeypatch.setenv("DOCKER_CONTEXT", "lost")
    assert refusal() == "there is no docker context 'lost' (named by DOCKER_CONTEXT)"


@pytest.mark.parametrize("folder", [None, "/nowhere"])
def test_certificates_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch, folder: str | None
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    if folder is not None:
        monkeypatch.setenv("DOCKER_CERT_PATH", folder)
    said = refusal()
    assert said.startswith("the certificates for the Docker Engine at tcp://127.0.0.1:2376 ")
    assert "DOCKER_CERT_PATH" in said


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


# -- What is left behind in it


def cleaned() -> list[str]:
    said: list[str] = []
    assert list(Docker().clean(dry_run=True, say=said.append)) == []
    return said


def test_no_engine_to_clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where nothing names an engine and there is none, nothing can be left in it."""
    monkeypatch.setattr(module, "_SOCKET", f"{tmp_path}/docker.sock")
    assert cleaned() == []


def test_an_engine_that_does_not_answer_to_clean(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "docker.sock"
    monkeypatch.setattr(module, "_SOCKET", str(path))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
    said = f"the Docker Engine was not asked: no Docker Engine answers at unix://{path}"
    [line] = cleaned()
    assert line.startswith(f"{said}: is it running?")
    path.unlink()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    [line] = cleaned()
    assert line.startswith(f"{said} (named by DOCKER_HOST): ")


def test_a_context_that_does_not_answer_to_clean(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"currentContext": "colima"}))
    host = _make_context(monkeypatch, folder, "colima")
    [line] = cleaned()
    assert line.startswith(f"the Docker Engine was not asked: no Docker Engine answers at {host}: ")


# -- Asking again


class Answer:
    """An answer of HTTP, as much as docker-py's errors look at."""

    def __init__(self, status: int) -> None:
        self.status_code, self.reason, self.url = status, "", ""


def answer(status: int, text: str) -> Exception:
    from docker.errors import APIError

    return APIError("wrapped", response=Answer(status), explanation=text)


def lost() -> Exception:
    from requests.exceptions import ConnectionError as Lost

    return Lost("Connection aborted.")


def slow() -> Exception:
    from requests.exceptions import ReadTimeout

    return ReadTimeout("Read timed out.")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine.__new__(Engine)
    made.address = "unix:///run/docker.sock"
    monkeypatch.setattr(module, "PAUSES", (0, 0))
    return made


def failing(*errors: Exception) -> tuple[Callable[[], str], list[int]]:
    """What fails in these ways and then works; and how often it was called."""
    calls: list[int] = []

    def action() -> str:
        calls.append(len(calls))
        if len(calls) <= len(errors):
            raise errors[len(calls) - 1]
        return "done"

    return action, calls


@pytest.mark.parametrize("make", [lambda: answer(500, "busy"), lost, slow, lambda: OSError("x")])
def test_what_the_engine_gets_wrong_is_asked_again(
    engine: Engine, make: Callable[[], Exception], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="simcore.docker")
    action, calls = failing(make(), make())
    assert engine.ask("start the container x", action) == "done"
    assert len(calls) == 3
    assert [record.getMessage() for record in caplog.records] == [
        f"the Docker Engine failed to start the container x ({text_of(make())}); it is asked again "
        "in 0 s"
    ] * 2


def test_in_the_end_it_is_given_up(engine: Engine) -> None:
    action, calls = failing(*(answer(503, "no\n space ") for _ in range(3)))
    with pytest.raises(EngineError) as caught:
        engine.ask("start the container x", action)
    assert len(calls) == 3
    assert str(caught.value) == (
        "the Docker Engine at unix:///run/docker.sock failed to start the container x, 3 times: "
        "no space"
    )
    assert caught.value.said == "no space"


REFUSALS: dict[str, tuple[int, str]] = {
    "not there": (404, "No such image: x"),
    "conflict": (409, "in use"),
    "bad request": (400, "Range of CPUs is from 0.01 to 2.00"),
    "the program is not there": (
        500,
        'OCI runtime create failed: exec: "x": executable file not found in $PATH: unknown',
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_the_engine_refuses_is_final(
    engine: Engine, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    status, text = REFUSALS[case]
    action, calls = failing(answer(status, text))
    with pytest.raises(Refused) as caught:
        engine.ask("create the container x", action)
    assert len(calls) == 1 and caplog.records == []
    assert str(caught.value) == f"the Docker Engine refuses to create the container x: {text}"


def test_a_defect_is_no_failure_of_the_engine(engine: Engine) -> None:
    action, calls = failing(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        engine.ask("x", action)
    assert len(calls) == 1


def test_a_container_whose_creation_was_heard_and_its_answer_lost(engine: Engine) -> None:
    class Api:
        made = 0

        def create_container_from_config(self, config: Any, name: str) -> dict[str, str]:
            self.made += 1
            raise lost() if self.made == 1 else answer(409, f'The name "{name}" is in use')

        def inspect_container(self, name: str) -> dict[str, str]:
            return {"Id": f"id of {name}"}

    engine.api = Api()
    assert engine.create("x", {}) == "id of x"
    assert not is_engine_fault(answer(409, ""))
