"""Runs one scenario into one run directory, as `python -m simcore run` and `trials` do.

What a federation does not know of is here: signals, pacing, the log, the list of inputs,
expectations.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import simpy

from simcore import expect, inputs
from simcore.collection import nodes_set_aside
from simcore.errors import ExitCode, Interrupted, ModelError, ResultsError, RunFailed, SimcoreError
from simcore.federation import Federation
from simcore.housekeeping import Housekeeper
from simcore.message import Fate, Message
from simcore.pacing import run_paced
from simcore.results.inferences import deadline_of
from simcore.results.junit import write_junit
from simcore.results.metrics import Metrics
from simcore.results.store import open_run
from simcore.stopping import Stopping, signals
from simcore.units import show_exact

if TYPE_CHECKING:
    from simcore.plugins import Plugins
    from simcore.scenario.model import Scenario

log = logging.getLogger("simcore")
time_log = logging.getLogger("simcore.time")

RUNS = Path("runs")
"""Where run directories are made unless the user names one."""


@dataclass(frozen=True)
class RunResult:
    """A run that came to its end.

    Attributes:
        path: the run directory.
        digest: 64 hexadecimal digits.
        outcomes: of the scenario's expectations, in order.
        exit_code: 0, or 1 if an expectation failed.
    """

    path: Path
    digest: str
    outcomes: tuple[expect.Outcome, ...]

    @property
    def exit_code(self) -> ExitCode:
        """What the command line returns."""
        passed = all(outcome.passed for outcome in self.outcomes)
        return ExitCode.OK if passed else ExitCode.DIFFERENT


def new_directory(scenario: Scenario, parent: Path = RUNS) -> Path:
    """Make the next free directory of a scenario's runs, as runs/quickstart-1.

    Raises:
        ResultsError: it cannot be made.
    """
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", scenario.name).strip("-.") or "run"
    number = 1
    try:
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            path = parent / f"{name}-{number}"
            try:
                path.mkdir()
                return path
            except FileExistsError:
                number += 1
    except OSError as error:
        raise ResultsError(
            f"cannot make a run directory in {parent.resolve()}: {error.strerror}; "
            "name another with --out"
        ) from error


def run_scenario(
    scenario: Scenario,
    out: Path,
    *,
    realtime: float | None = None,
    log_level: int = logging.WARNING,
    log_time: bool = False,
    tick: Callable[[int], None] | None = None,
    say: Callable[[str], None] = log.warning,
    notice: Callable[[str], None] | None = None,
    calibrate: bool = False,
    plugins: Plugins | None = None,
) -> RunResult:
    """Run a scenario to its end.

    Args:
        scenario: what to run.
        out: run directory; must not exist or be empty.
        realtime: virtual seconds per wall second; None: as fast as possible.
        log_level: of `logs/simcore.log`.
        log_time: log every grant and every message's fate.
        tick: called a few times a second, from another thread, with the virtual time (ns).
        say: shows a line to the user, about signals.
        notice: shows one about the run, see `Federation`.
        calibrate: have services measure how long they take, see `Federation`.

    Raises:
        SimcoreError: the run could not start, failed, or was stopped; what was recorded until
            then is in `out`.
    """
    with inputs.watch() as opened, signals(say) as stopping, ExitStack() as logged:
        env = None if realtime is None else simpy.Environment()
        logged.enter_context(_logging(out, log_level, log_time))
        federation = Federation(
            scenario, env, out=out, plugins=plugins, say=notice, calibrate=calibrate
        )
        archive = federation.archive
        assert archive is not None
        with (
            stopping.orderly(_ignore, "the results are being written"),
            federation,
        ):
            if log_time:
                _log_times(federation)
            with Housekeeper(federation, tick) as housekeeper:
                try:
                    archive.started()
                    with (
                        nodes_set_aside(),
                        stopping.orderly(housekeeper.request_stop, "stopping at the next instant"),
                    ):
                        late = _advance(federation, realtime, housekeeper, stopping)
                    if late is not None:
                        archive.manifest["times"]["late_s"] = round(late, 6)
                finally:
                    archive.share = housekeeper.share
                    archive.inputs = inputs.digests(opened, scenario.base, out)
    assert federation.digest is not None
    outcomes = _judge(scenario, out)
    if not all(outcome.passed for outcome in outcomes):
        archive.fail_expectations([o.text for o in outcomes if not o.passed])
    return RunResult(out, federation.digest, outcomes)


def _advance(
    federation: Federation, realtime: float | None, housekeeper: Housekeeper, stopping: Stopping
) -> float | None:
    """Run to the end; returns the greatest lateness of a paced run, in wall seconds."""
    try:
        if realtime is not None:
            return run_paced(federation, realtime, housekeeper)
        for visitors in federation.visitors:
            federation.say(
                f"{visitors.key} has no effect: the run is not paced (--realtime FACTOR)"
            )
        federation.env.run(until=federation.end)
    except SimcoreError:
        raise
    except KeyboardInterrupt:
        raise Interrupted(stopping.asked or ExitCode.INTERRUPTED) from None
    except (Exception, SystemExit) as error:
        if "Invalid yield value" in str(error):
            raise _no_event(error, federation) from None
        # From a process that SimPy alone knows of, or a defect: the results are kept all the same.
        message = f"the run was ended by {type(error).__name__}: {error}"
        raise RunFailed(message, now=federation.now) from error
    return None


def _no_event(error: BaseException, federation: Federation) -> ModelError:
    """SimPy met a `yield` that is none of its events, in the process that is still active."""
    generator = getattr(federation.env.active_process, "_generator", None)
    node, place = None, ""
    while generator is not None:
        node = node or next((n.name for n in federation.nodes.values() if n.owns(generator)), None)
        place = f'File "{generator.gi_code.co_filename}", line {generator.gi_frame.f_lineno}: '
        generator = generator.gi_yieldfrom
    return ModelError(
        f"{node or 'a process'} yielded what is no event of SimPy (node.sleep(...) and "
        f"node.receive() make some)\n  {place}{str(error).splitlines()[-1]}",
        node=node,
        now=federation.now,
    )


def _ignore(_: ExitCode) -> None:
    """The run is over; its results are written to the end."""


def _judge(scenario: Scenario, out: Path) -> tuple[expect.Outcome, ...]:
    if not scenario.expect:
        return ()
    with open_run(out) as run:
        metrics = Metrics(run.connection, deadline_of(run.manifest))
        outcomes = tuple(expect.evaluate(expect.parse(text), metrics) for text in scenario.expect)
        write_junit(
            out / "junit.xml", outcomes, name=scenario.name, wall_s=run.manifest["times"]["wall_s"]
        )
    return outcomes


class _LogFile(logging.FileHandler):
    """A log that is part of the results: where it cannot be written, the run ends.

    The file is made with its first line; a run with nothing to say has none.
    """

    _failed = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            super().emit(record)
        except OSError:  # of making the file, which is left to whoever logs
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Raise what `emit` caught, the first time; the report of it must not fail as well."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._failed:
            self._failed = True
            raise ResultsError(
                f"{self.baseFilename} cannot be written: {error.strerror}"
            ) from error


@contextmanager
def _logging(out: Path, level: int, log_time: bool) -> Iterator[None]:
    """Write `logs/simcore.log`; without wall time, so that equal runs have equal logs."""
    handler = _LogFile(out / "logs" / "simcore.log", encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    before = log.level, time_log.level
    log.addHandler(handler)
    log.setLevel(level)
    time_log.setLevel(logging.INFO if log_time else logging.CRITICAL)
    try:
        yield
    finally:
        log.removeHandler(handler)
        with suppress(OSError):  # of a full disk; reported where it began
            handler.close()
        log.setLevel(before[0])
        time_log.setLevel(before[1])


def _log_times(federation: Federation) -> None:
    def fate(message: Message) -> None:
        what = (
            "deliver"
            if message.fate == Fate.DELIVERED
            else f"lose ({Fate(message.fate).name.lower()})"
        )
        time_log.info(
            "%s %s %s %s to %s, %d bytes, sent %s",
            show_exact(message.at), what, message.id, message.kind, message.destination,
            message.size, show_exact(message.sent),
        )  # fmt: skip

    def grant(node: str, now: int, inputs: int) -> None:
        time_log.info("%s grant %s, %d inputs", show_exact(now), node, inputs)

    federation.observe(fate)
    federation.observe_grants(grant)
