"""Signals: what a handler does in the middle of anything else."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import pytest
from support import PATIENCE

from simcore.errors import ExitCode, Interrupted, UsageError
from simcore.stopping import Stopping, signals

UNHEARD = [
    pytest.param(RuntimeError("reentrant call"), id="the program writes a line itself"),
    pytest.param(OSError(5, "Input/output error"), id="its terminal has gone"),
]


def raising(error: Exception) -> Callable[[str], None]:
    def say(line: str) -> None:
        raise error

    return say


@pytest.mark.parametrize("error", UNHEARD)
def test_a_run_ends_in_order_though_nobody_can_be_told(error: Exception) -> None:
    asked: list[ExitCode] = []
    stopping = Stopping(raising(error))
    with stopping.orderly(asked.append, "stopping"):
        stopping.handle(signal.SIGTERM, None)
    assert asked == [ExitCode.TERMINATED]


class Cleared:
    """Is interrupted while Python clears it up, where nothing that is raised gets out."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_is_not_lost_that_comes_while_something_is_cleared_up() -> None:
    def works() -> None:
        with signals(lambda _: None):
            Cleared()
            threading.Event().wait(PATIENCE)

    with pytest.raises(Interrupted) as caught:
        works()
    assert caught.value.exit_code == ExitCode.TERMINATED


class Named:
    """Is interrupted while a class is made, as each import of a dataclass makes one."""

    def __set_name__(self, owner: type, name: str) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_signal_is_known_by_whatever_python_makes_of_it(wrapped: bool) -> None:
    def works() -> None:
        with signals(lambda _: None):
            try:
                type("Made", (), {"field": Named()})
            except Exception as error:
                if wrapped:
                    raise UsageError("importing it raised something") from error
                raise

    with pytest.raises(Interrupted) as caught:
        works()
    assert caught.value.exit_code == ExitCode.INTERRUPTED


def test_an_error_may_be_its_own_cause() -> None:
    """As one of simcore's is that a model raised, and the node told of."""
    error = UsageError("no such node")
    with pytest.raises(UsageError) as caught, signals(lambda _: None):
        raise error from error
    assert caught.value is error


def test_what_else_fails_there_is_told_as_ever(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[object] = []

    class Failing:
        def __del__(self) -> None:
            raise ValueError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.unraisablehook", lambda lost: told.append(lost.exc_type))
        with signals(str):
            Failing()
    assert told == [ValueError]
