"""The proxy in front of the engine does what it says, so that what stands on it can be believed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from docker import DockerClient
from docker.errors import APIError
from engine import running
from engine_proxy import EngineProxy, Fault, Kind
from requests.exceptions import ConnectionError


def client(proxy: EngineProxy) -> DockerClient:
    return DockerClient(base_url=proxy.host, version="1.41", timeout=60)


def test_all_goes_through(engine: DockerClient, base_image: str, tmp_path: Path) -> None:
    program = "import sys; print(sys.stdin.readline() * 2)"
    options = {"network_mode": "none", "stdin_open": True}
    with (
        EngineProxy(tmp_path) as proxy,
        closing(client(proxy)) as ours,
        running(ours, base_image, ["python3", "-c", program], **options) as container,
    ):
        stream = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
        stream._sock.sendall(b"abc\n")
        assert container.wait()["StatusCode"] == 0
        assert container.logs() == b"abc\nabc\n\n"
        stream._sock.close()
        stream.close()
    asked = [line.split("?")[0].replace(container.id, "ID") for line in proxy.requests]
    assert [line for line in asked if line != "GET /containers/ID/json"] == [
        "POST /containers/create", "POST /containers/ID/start", "POST /containers/ID/attach",
        "POST /containers/ID/wait", "GET /containers/ID/logs", "DELETE /containers/ID",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "made"), [("500", 0), ("refuse", 0), ("close", 0), ("lose", 1), ("call", 1)]
)
def test_faults(
    engine: DockerClient, base_image: str, tmp_path: Path, kind: Kind, made: int
) -> None:
    name = f"proxy-{kind}-{tmp_path.name}"
    calls: list[bool] = []

    def there() -> bool:
        return bool(engine.containers.list(all=True, filters={"name": name}, ignore_removed=True))

    fault = Fault("POST /containers/create", kind, action=lambda: calls.append(there()))
    with EngineProxy(tmp_path, [fault]) as proxy, closing(client(proxy)) as ours:
        errors = {
            "500": APIError,
            "refuse": APIError,
            "close": ConnectionError,
            "lose": ConnectionError,
        }
        if kind in errors:
            with pytest.raises(errors[kind]):
                ours.containers.create(base_image, ["true"], name=name, network_mode="none")
        else:
            ours.containers.create(base_image, ["true"], name=name, network_mode="none")
        found = engine.containers.list(all=True, filters={"name": name}, ignore_removed=True)
        assert len(found) == made
        for each in found:
            each.remove()
        with running(
            ours, base_image, ["true"], name=name, network_mode="none"
        ):  # and then no more
            pass
    assert calls == {"call": [False], "lose": [True]}.get(kind, [])
