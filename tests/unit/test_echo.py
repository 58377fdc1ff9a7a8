"""The shipped service `echo`, driven by hand."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from simcore_backends.services.echo import Echo

from simcore.payload import freeze
from simcore.protocol.service import ServiceHost


class Sent(NamedTuple):
    id: str = "meter/1"
    source: str = "meter"
    kind: str = "reading"
    payload: Any = {"value": [1, 2.5, "x"]}
    size: int = 72
    sent: int = 0


def host(config: dict[str, Any]) -> ServiceHost:
    echo = ServiceHost(Echo(), name="server", seed=1, config=config, freeze=freeze)
    echo.advance(0, [])
    return echo


def test_returns_payload_and_size_to_the_sender() -> None:
    message = Sent()
    (output,) = host({}).advance(5, [message]).outputs
    assert (output.at, output.destination, output.kind, output.size) == (5, "meter", "echo", 72)
    assert output.payload == freeze(message.payload)
    assert output.cause is message


def test_kind_and_compute_come_from_the_config() -> None:
    (output,) = host({"kind": "pong", "compute": "4ms"}).advance(5, [Sent()]).outputs
    assert (output.kind, output.at, output.computed) == ("pong", 4_000_005, 4_000_000)


def test_a_misspelt_key_is_refused() -> None:
    with pytest.raises(ValueError, match="'comput'; it takes kind and compute"):
        host({"comput": "4ms"})
