"""The end of a container, of which the engine tells later than the kernel does."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from scripted import Dying
from simcore_backends.docker.engine import EngineError
from simcore_backends.docker.participant import ContainerParticipant
from worlds import PLUGINS, world

from simcore import Federation
from simcore.errors import ParticipantError


class Boxed(Dying):
    takes = 4.0
    starved = False


def test_a_busy_engine_has_time_to_tell_of_an_end() -> None:
    line = Boxed({})
    with Federation(world({"a": None}), plugins=PLUGINS) as federation:
        remote = ContainerParticipant(
            federation, "prober", ["a"], line, transport="stdio", health=None, start_timeout=30.0,
            advice=lambda _, __: None,
        )  # fmt: skip
        remote.launch()
        remote.ready(0)
        remote.begin(5, [])
        line.file.close()
        line.end.close()
        with pytest.raises(ParticipantError, match="prober was killed by SIGKILL before it"):
            remote.finish()
        remote.kill()


class Refusing(Boxed):
    """In which the engine runs nothing any more, and has not told of its end."""

    def describe(self) -> str:
        return super().describe() if self.state.ended else "is exited"

    def run(self, command: Sequence[str]) -> tuple[int, str]:
        raise EngineError("it does not run")


def test_a_container_that_ends_while_its_health_is_asked_for() -> None:
    with Federation(world({"a": None}), plugins=PLUGINS) as federation:
        remote = ContainerParticipant(
            federation, "prober", ["a"], Refusing({}), transport="stdio",
            health={"command": ["true"]}, start_timeout=30.0, advice=lambda _, __: None,
        )  # fmt: skip
        remote.launch()
        says = "prober was killed by SIGKILL before its health was good"
        with pytest.raises(ParticipantError, match=says):
            remote.ready(0)
        remote.kill()
