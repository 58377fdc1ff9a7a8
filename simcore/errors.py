"""Typed errors: each says who is to blame, what was expected, what came, and what to do next.

Every error that simcore raises on purpose derives from `SimcoreError`; the command line
turns it into one report and the exit code it carries. Anything else is a bug in simcore.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simcore.scenario.problems import Problem


class ExitCode(IntEnum):
    """What `python -m simcore` tells the shell; documented in `--help`."""

    OK = 0
    """The run completed and every expectation held."""
    DIFFERENT = 1
    """An expectation failed, or two runs that should be equal differ."""
    INVALID = 2
    """The scenario, an option or an input is invalid; nothing was started."""
    FAILED = 3
    """A model, a service or a participant failed while the run was under way."""
    UNWRITABLE = 4
    """Results could not be written: disk full, directory not writable or occupied."""
    INTERRUPTED = 130
    """Ctrl-C (SIGINT)."""
    TERMINATED = 143
    """SIGTERM."""


class SimcoreError(Exception):
    """Base of all errors raised on purpose."""

    exit_code: ExitCode = ExitCode.FAILED
    reason: str = "error"
    """Short machine-readable cause, stored as the manifest's exit reason."""


class UnitError(SimcoreError, ValueError):
    """A duration, size, rate or ratio that cannot be read."""

    exit_code = ExitCode.INVALID


class UsageError(SimcoreError):
    """A command or call was given something it cannot work with."""

    exit_code = ExitCode.INVALID


class MissingDependency(SimcoreError):
    """An optional package is needed and absent.

    Args:
        package: the import name that failed.
        extra: the extra of simcore that installs it.
        purpose: what it is needed for, as in "needed for DataFrames".
    """

    exit_code = ExitCode.INVALID

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"{package} is needed for {purpose} and is not installed; "
            f"install it with: pip install 'simcore[{extra}]'"
        )


class ScenarioError(SimcoreError):
    """A scenario with problems: all of them, each with its place.

    Args:
        problems: what is wrong, in the order of the file.
    """

    exit_code = ExitCode.INVALID
    reason = "invalid_scenario"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class RunFailed(SimcoreError):
    """Something that a scenario names failed while the run was under way.

    Args:
        message: what happened.
        node: name of the node concerned, if one is.
        now: virtual time in nanoseconds at which it happened.
    """

    reason = "failed"

    # All arguments may be positional and are kept: SimPy makes an error that leaves a process
    # anew from them.
    def __init__(self, message: str, node: str | None = None, now: int | None = None) -> None:
        self.node = node
        self.now = now
        super().__init__(message, node, now)

    def __str__(self) -> str:
        return str(self.args[0])


class ModelError(RunFailed):
    """A model or service raised; the cause holds the traceback."""

    reason = "model_error"


class SendError(RunFailed):
    """A message that cannot be sent: unknown destination, no route, payload that is not JSON."""

    reason = "send_error"


class LookaheadError(RunFailed):
    """A network delivered sooner than it had promised: a defect of the network model."""

    reason = "lookahead"


class ZeroDelayLoop(RunFailed):
    """More than the allowed number of messages or timers caused each other at one instant.

    Args:
        cycle: one line per message of the cycle.
    """

    reason = "zero_delay_loop"

    def __init__(self, message: str, cycle: Sequence[str], node: str, now: int) -> None:
        super().__init__(message, node, now)
        self.cycle = tuple(cycle)
        self.args = (message, self.cycle, node, now)

    def __str__(self) -> str:
        return "\n  ".join((super().__str__(), *self.cycle))


class ParticipantError(RunFailed):
    """A participant did not start, ended, hung, or broke a rule of the protocol.

    Its text is a whole report; the attributes are the parts of it.

    Args:
        message: the report: what happened in the first line, then one line for each part.
        node: name of the first node that the participant hosts; None for a network.
        now: virtual time in nanoseconds at which the run was.
        participant: name of the participant.
        rule: short name of what it broke, as in `docs/protocol.md`.
        pending: the ADVANCE that has no answer; None without one.
        last_done: its last answer; None if it never gave one.
        exit: what became of its process.
        log: the last lines that it wrote.
        waiting: who was waiting for whom.
    """

    reason = "participant_error"

    def __init__(
        self,
        message: str,
        node: str | None = None,
        now: int | None = None,
        participant: str = "",
        rule: str = "",
        pending: str | None = None,
        last_done: str | None = None,
        exit: str = "",
        log: Sequence[str] = (),
        waiting: str = "",
    ) -> None:
        super().__init__(message, node, now)
        self.participant = participant
        self.rule = rule
        self.pending = pending
        self.last_done = last_done
        self.exit = exit
        self.log = tuple(log)
        self.waiting = waiting
        self.args = (
            message, node, now, participant, rule, pending, last_done, exit, self.log, waiting
        )  # fmt: skip


class Interrupted(SimcoreError):
    """The run was asked to stop by a signal.

    Args:
        exit_code: `ExitCode.INTERRUPTED` or `ExitCode.TERMINATED`.
    """

    def __init__(self, exit_code: ExitCode) -> None:
        self.exit_code = exit_code
        self.reason = "terminated" if exit_code is ExitCode.TERMINATED else "interrupted"
        super().__init__(
            "stopped by SIGTERM" if self.reason == "terminated" else "stopped by Ctrl-C"
        )


class ResultsError(SimcoreError):
    """The run directory cannot be written or read."""

    exit_code = ExitCode.UNWRITABLE
    reason = "unwritable"
