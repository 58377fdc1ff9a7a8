"""A real Mosquitto in a container of its own, and an ordinary MQTT client that talks to it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient
from engine import running
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from support import PATIENCE, require, reserved_port

PLAIN = ("allow_anonymous true",)


class Mosquitto:
    """A broker on a port of this machine, with the network of which its container shares."""

    def __init__(self, container: Any, port: int) -> None:
        self._container = container
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self._await()

    def stop(self) -> None:
        """End the broker, and with it all that it knew."""
        self._container.kill()
        self._container.wait()

    def start(self) -> None:
        """Start it again on the same port."""
        self._container.start()
        self._await()

    def _await(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            self._container.reload()
            if self._container.status == "exited" or time.monotonic() > deadline:
                pytest.fail(f"Mosquitto did not start: {self._container.logs().decode()}")
            time.sleep(0.01)  # nothing tells when a listener is there


@contextmanager
def mosquitto(
    client: DockerClient, image: str, folder: Path, settings: Sequence[str] = PLAIN
) -> Iterator[Mosquitto]:
    """A broker.

    Args:
        client: of the engine.
        image: with Mosquitto.
        folder: for its files; the broker sees it as /files.
        settings: lines of its configuration beside the listener's port.
    """
    folder.chmod(0o755)
    with reserved_port() as port:
        text = "\n".join([f"listener {port} 127.0.0.1", "set_tcp_nodelay true", *settings, ""])
        (folder / "mosquitto.conf").write_text(text, encoding="utf-8")
        with running(
            client,
            image,
            ["mosquitto", "-c", "/files/mosquitto.conf"],
            network_mode="host",
            volumes={str(folder): {"bind": "/files", "mode": "ro"}},
        ) as container:
            yield Mosquitto(container, port)


class Device:
    """An ordinary client: what has arrived, and waiting for more."""

    def __init__(self, port: int, *topics: str, user: tuple[str, str] | None = None) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._ready = False
        self._topics = topics
        self._client = Client(CallbackAPIVersion.VERSION2)
        if user is not None:
            self._client.username_pw_set(*user)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self.until(lambda: self._ready)

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()

    def _on_connect(self, client: Client, _user: Any, _flags: Any, reason: Any, _more: Any) -> None:
        assert not reason.is_failure, reason
        client.subscribe([(topic, 2) for topic in self._topics])

    def _on_subscribe(self, *_: Any) -> None:
        self._ready = True

    def _on_message(self, _client: Client, _user: Any, message: MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload)))

    def say(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publish, and wait until the broker has it."""
        info = self._client.publish(topic, payload, qos, retain)
        self.until(info.is_published)

    def until(self, condition: Callable[[], object]) -> None:
        """Talk to the broker until a condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"nothing more came than {self.heard[-20:]}")
            code = self._client.loop(0.1)
            assert code is MQTTErrorCode.MQTT_ERR_SUCCESS, code

    def hears(self, topic: str, payload: bytes) -> None:
        """Wait for a message that has not been waited for yet."""
        self.until(lambda: (topic, payload) in self.heard)
        self.heard.remove((topic, payload))


def certificates(folder: Path) -> None:
    """Make an authority (ca.pem) and a broker's certificate for 127.0.0.1 (cert.pem, key.pem)."""
    openssl = require("openssl")

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True)

    new = ("req", "-newkey", "rsa:2048", "-nodes", "-subj")
    run(*new, "/CN=authority", "-x509", "-days", "30", "-keyout", "ca.key", "-out", "ca.pem")
    run(*new, "/CN=broker", "-keyout", "key.pem", "-out", "broker.csr")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n", encoding="utf-8")
    run(
        *("x509", "-req", "-in", "broker.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
        *("-CAcreateserial", "-days", "30", "-extfile", "names", "-out", "cert.pem"),
    )
    for name in ("cert.pem", "key.pem", "ca.pem"):
        (folder / name).chmod(0o644)
