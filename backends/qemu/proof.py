"""The self-test of QEMU: a program with a known timeline, run before anything relies on it.

The plug-in uses what QEMU's authors have not promised to anybody. Whether a QEMU behaves as those
that simcore was made with is therefore not told from its version: it is tried, at each start of a
run, beside the devices that start.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from msgspec.structs import astuple

from simcore.commands import program_of
from simcore.message import Message
from simcore.protocol.frames import ProtocolError, encode
from simcore.protocol.service import Done
from simcore.remote import Remote

from ..firmware import frames as machine
from ..firmware.frames import Chunk, MachineDone
from . import timeline
from .board import MACHINES, command
from .tool import FALLBACK

if TYPE_CHECKING:
    from simcore.federation import Federation

_tests: WeakKeyDictionary[Federation, dict[tuple[Path, str], SelfTest]] = WeakKeyDictionary()


def self_test(federation: Federation, qemu: Path, plugin: Path, board: str) -> SelfTest:
    """The self-test of a QEMU and a board: one for each run."""
    tests = _tests.setdefault(federation, {})
    key = (qemu, board)
    if key not in tests:
        tests[key] = SelfTest(federation, qemu, plugin, board)
    return tests[key]


class SelfTest:
    """One QEMU that runs the known program.

    Args:
        federation: the run.
        qemu: the program.
        plugin: the module that it loads.
        board: as QEMU calls it.
    """

    def __init__(self, federation: Federation, qemu: Path, plugin: Path, board: str) -> None:
        self._dialect = _Bytes()
        words = command(qemu, plugin, board, timeline.SHIFT, timeline.ELF, timeline.UARTS)
        name = f"self-test of QEMU ({board})"
        self._remote: Remote | None = Remote(
            federation,
            name,
            [],
            program_of(federation, name, words, {}),
            kind="free_running",
            transport="stdio",
            dialect=self._dialect,
            recorded=False,
            advice=lambda phase, rule: _advice(board),
        )
        """None: it has passed."""
        self._launched = False

    def launch(self) -> None:
        """Start it, once."""
        if not self._launched and self._remote is not None:
            self._launched = True
            self._remote.launch()

    def check(self) -> None:
        """Wait until it has passed.

        Raises:
            ParticipantError: it has not: this QEMU is not to be relied on.
        """
        remote = self._remote
        if remote is None:
            return
        remote.ready(0)
        for until, chunks in timeline.WINDOWS:
            self._dialect.chunks = [Chunk(*chunk) for chunk in chunks]
            remote.begin(until, ())
            remote.finish()
        remote.shut_down()
        remote.close()
        # It has passed. Nothing here may lead to the run, or the run would be kept for ever.
        self._remote = None


def _advice(board: str) -> str:
    first = f"QEMU 7.2 has no {board}, but {MACHINES[0]}; " if board != MACHINES[0] else ""
    return f"{first}simcore knows QEMU 7.2 and 10.0 of Debian; {FALLBACK}"


class _Bytes:
    """A dialect of bytes alone, which holds what comes against the known timeline."""

    decode = staticmethod(machine.decode)

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self._to_come = list(timeline.OUTPUTS)
        self._to_lose = list(timeline.LOST)

    def advance(self, seq: int, until: int, messages: Sequence[Message]) -> bytes:
        return encode(machine.Advance(seq, until, self.chunks))

    def read(self, frame: MachineDone, since: int, until: int) -> Done:
        if not until <= frame.now < until + (1 << timeline.SHIFT):
            raise _unlike("the machine stops at", f"{until} ns", f"{frame.now} ns")
        _compare("the firmware writes", frame.outputs, self._to_come, frame.now)
        _compare("the firmware loses", frame.lost, self._to_lose, frame.now)
        if until == timeline.ENDS[-1] and frame.executed != timeline.EXECUTED:
            wanted, came = f"{timeline.EXECUTED} instructions", f"{frame.executed} instructions"
            raise _unlike("the processor executes", wanted, came)
        return Done([], [], None)

    def give_up(self, id: str) -> None:
        """Of networks only."""

    def clear(self) -> None:
        """There is nothing to let go of."""


def _compare(
    what: str,
    found: Sequence[machine.Written | machine.Lost],
    known: list[tuple[int, int, str]],
    now: int,
) -> None:
    """Take from what is known what was to come by now, and hold what came against it."""
    due = [each for each in known if each[1] <= now]
    del known[: len(due)]
    for wanted, came in zip_longest(due, map(astuple, found)):
        if wanted != came:
            raise _unlike(what, _shown(wanted), _shown(came))


def _shown(entry: tuple[Any, ...] | None) -> str:
    """What was written, or why a byte is lost, and where and when."""
    return "nothing" if entry is None else "{2} on UART {0} at {1} ns".format(*entry)


def _unlike(what: str, wanted: str, came: str) -> ProtocolError:
    return ProtocolError("self-test", f"{what} {came}; expected: {wanted}")
