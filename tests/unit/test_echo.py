"""The shipped service `echo`, driven by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from simcore_backends.services.echo import Echo

from simcore import ScenarioError, loads
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
    echo = ServiceHost(Echo(), name="server", seed=1, config=config, base=Path(), freeze=freeze)
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


SCENARIO = """\
simcore: 1
duration: 1s
nodes:
  server:
    implementation: {implementation}
    service: echo
    config: {config}
"""


def problems(config: str, implementation: str = "python_model") -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        loads(SCENARIO.format(config=config, implementation=implementation))
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("implementation", ["python_model", "process"])
def test_a_misspelt_key_is_reported_where_it_stands(implementation: str) -> None:
    assert problems("{comput: 4ms}", implementation) == [
        "<string>:7:14: nodes.server.config.comput: unknown key (did you mean 'compute'?)"
    ]


def test_everything_wrong_is_reported_at_once() -> None:
    assert problems("{kind: 5, compute: {table: none.txt}, computer: 1}") == [
        "<string>:7:20: nodes.server.config.kind: must be text, got 5",
        "<string>:7:23: nodes.server.config.compute: cannot read the table 'none.txt': "
        "[Errno 2] No such file or directory: 'none.txt'",
        "<string>:7:51: nodes.server.config.computer: unknown key",
    ]
