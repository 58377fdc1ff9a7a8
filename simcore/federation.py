"""Federation: one run. Ties environment, nodes, network, extensions and recorder together.

It owns no behaviour of its own beyond that: when things happen is the calendar's and the
arbiter's business, whether a message arrives the network's, what nodes do theirs.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path as FilePath
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any

import simpy

from simcore.calendar import ARRIVAL, CONTROL, tells_nanoseconds
from simcore.clock import Clock
from simcore.closing import close_parts, noted
from simcore.collection import paused
from simcore.errors import ExitCode, ResultsError, SendError, SimcoreError, UsageError
from simcore.hosting import Host, Make, begin_all
from simcore.instant import Instant
from simcore.message import Fate, Message, entry_order
from simcore.plugins import Plugins
from simcore.results.archive import Archive
from simcore.results.digest import kind_number
from simcore.results.recorder import Recorder
from simcore.units import duration
from simcore.windows import FreeRunningHost, Windows

if TYPE_CHECKING:
    from simcore.network import Network, Path
    from simcore.node import Node
    from simcore.outside import Outside
    from simcore.pacing import Visitors
    from simcore.scenario.model import Scenario


_log = logging.getLogger("simcore")


class Federation:
    """One run of a scenario on a SimPy environment.

    Args:
        scenario: what to run.
        env: a plain SimPy environment; its present time becomes virtual time 0. None makes one.
        unit: what one unit of the environment's time stands for, as "1s"; "1ns" by default.
        out: run directory to make and write; None keeps the digest only.
        plugins: backends, network models and extensions; the installed ones by default.
        say: shows a line to the user, such as what takes its time at the start; without, it is
            logged.
        calibrate: have services measure how long their handlers take on this machine, which makes
            another digest of each run.

    Attributes:
        nodes: the nodes by name, in the scenario's order.
        end: the scenario's duration, ns; what would happen at it or later does not.
        digest: set by `close()`.

    Raises:
        SimcoreError: the scenario cannot be started, or `out` cannot be written.

    Example:
        >>> with Federation(scenario, env, unit="1s") as federation:  # doctest: +SKIP
        ...     env.process(my_shop(env, federation.nodes["till"]))
        ...     env.run(until=3600)
    """

    _count = 0

    def __init__(
        self,
        scenario: Scenario,
        env: simpy.Environment | None = None,
        *,
        unit: str = "1ns",
        out: FilePath | str | None = None,
        plugins: Plugins | None = None,
        say: Callable[[str], None] | None = None,
        calibrate: bool = False,
    ) -> None:
        scale = duration(unit)
        self.env = Clock() if env is None else env
        if scale == 0 or not tells_nanoseconds(self.env.now, scale, scenario.duration):
            raise UsageError(
                f"an environment at {self.env.now} with the unit {unit!r} cannot tell the "
                "nanoseconds of this duration apart: start it at 0, or use the unit 1ns"
            )
        Federation._count += 1
        self.index = Federation._count
        self.scenario = scenario
        self.seed = scenario.seed
        self.end = scenario.duration
        self.plugins = plugins or Plugins()
        self.calibrate = calibrate
        self.say: Callable[[str], None] = say or _log.info
        self.instant = Instant(self, scale)
        self.calendar = self.instant.calendar
        self.calendar.end = self.end
        self.names = [spec.name for spec in scenario.nodes]
        self.kinds: dict[str, int] = {}
        self.digest: str | None = None
        self.closed = False
        self.attend: Callable[[], None] | None = None
        """Called between two instants when `calendar.busy` was set from outside."""
        self._controls = 0
        self.hosts: list[Host] = []
        self.windows: Windows | None = None
        self.on_wait: Callable[[], None] | None = None
        """Called now and then while a participant is waited for; may raise to end the run."""
        self._observers: list[Callable[[Message], None]] = []
        self._life_observers: list[Callable[[Node], None]] = []
        self.visitors: list[Visitors] = []
        """Who may come in from outside while the run is paced by the wall clock."""
        self.grant_observers: list[Callable[[str, int, int], None]] = []
        self.archive = None if out is None else Archive(FilePath(out), scenario, self.plugins)
        if calibrate and self.archive is not None:
            self.archive.manifest["determinism"] = "calibration"
        try:
            self.recorder = Recorder(
                scenario.nodes, self.archive.database if self.archive else None
            )
        except ResultsError:
            if self.archive is not None:
                self.archive.discard()
            raise
        self._recorded = self.recorder.messages
        try:
            self._build()
        except BaseException as error:
            self._abandon(error)
            started = "outside" in self.__dict__ or exit_code_of(error) == ExitCode.FAILED
            if self.archive is not None and not started:
                self.archive.discard()  # so there is nothing to look at
            raise

    @paused()  # what it makes is there to stay
    def _build(self) -> None:
        scenario, plugins = self.scenario, self.plugins
        self._end_observers: list[Callable[[int], None]] = []
        self.kept: dict[str, Any] = {}
        """What extensions have to find again, by their names."""
        self.takers: dict[tuple[str, str], Callable[[Any], None]] = {}
        """Who takes the values of a measurement, by node and name, in place of the results."""
        self.gates: list[Callable[[Node, Path], Path]] = []
        """Extensions that put a path of their own before that of the network; see `path`."""
        self._nodes: dict[str, Node] = {}
        self.nodes: Mapping[str, Node] = MappingProxyType(self._nodes)
        self.network: Network = plugins.netmodels[scenario.network["model"]].build(self, scenario)
        for spec in scenario.nodes:
            node = plugins.backends[spec.implementation].attach(self, spec)
            self._nodes[spec.name] = node
            self.calendar.push((0, CONTROL, 1, spec.order, 0, _start, node))
        for name, value in scenario.extensions.items():
            plugins.extensions[name].attach(self, value)
        begin_all(self.hosts)
        self.network.start()
        if self.windows is not None:
            self.windows.open()

    @cached_property
    def outside(self) -> Outside:
        """What this run has outside its own process; made when something is started there."""
        from simcore.outside import Outside

        return Outside(self)

    # -- running

    @property
    def now(self) -> int:
        """Virtual time, ns."""
        return self.calendar.current()

    def run(self) -> str:
        """Run to the end of the scenario and close; returns the digest."""
        with self:
            self.env.run(until=self.calendar.env_time(self.end))
        assert self.digest is not None
        return self.digest

    def __enter__(self) -> Federation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self._abandon(error)

    def close(self) -> str:
        """End the run at the present virtual time: write everything; returns the digest.

        A message still under way counts as in flight; what was done at this very instant
        counts as not done, so that the result does not depend on how the run was sliced.
        """
        return self._close(min(self.now, self.end), None)

    def _abandon(self, error: BaseException) -> None:
        """Keep what was recorded up to and including this instant, though the run failed."""
        with noted(error):
            self._close(self.calendar.now + 1, error)

    @paused()  # all nodes are still there, and what it makes is written at once
    def _close(self, end: int, error: BaseException | None) -> str:
        if self.closed:
            return self.digest or ""
        self.closed = True
        self.instant.close()
        self.calendar.end = -1
        failure = error
        try:
            try:
                try:
                    if error is None:
                        self._collect(end)
                except BaseException as further:
                    failure = further
                    with noted(further):
                        self._record(end)  # what was recorded before is kept
                    raise
                self.digest = self._record(end)
            except BaseException as further:
                failure = failure or further
                raise
            finally:
                self.calendar.heap.clear()  # the environment may go on; this run does not
                try:
                    close_parts(self, orderly=failure is None)
                finally:
                    self.recorder.close()  # it takes down how participants ended
        except BaseException as further:
            failure = failure or further
            raise
        finally:
            if self.archive is not None:
                digest = self.digest if failure is None else None
                self.archive.finish(end, digest, failure, self.recorder, self.windows)
        return self.digest

    def _collect(self, end: int) -> None:
        """Take what participants did ahead of the rest, as far as it lies before `end` (ns)."""
        if self.windows is not None:
            self.windows.close(end)
        self.network.finish(end)

    def _record(self, end: int) -> str:
        """Write what is known at the end of the run (ns); its digest."""
        # Before the recorder gives what is still under way its fate.
        links = list(self.network.metrics(end)) if hasattr(self, "network") else []
        for observer in self._end_observers:
            observer(end)
        return self.recorder.finish(end, self.in_flight(), links)

    def on_links(self) -> list[Message]:
        """Messages that have entered the network and have no fate yet."""
        entries = (entry[6] for entry in self.calendar.heap if entry[1] == ARRIVAL)
        return [message for message in entries if message.fate == Fate.DELIVERED]

    def in_flight(self) -> list[Message]:
        """All messages that were sent and have no fate yet, those that wait to enter included."""
        waiting = [*self.on_links(), *self.instant.waiting()]
        if self.windows is not None:
            waiting += self.windows.entering()
        if hasattr(self, "network"):
            waiting += self.network.in_flight()
        return sorted(waiting, key=entry_order)

    # -- instants

    def stage(self, message: Message) -> None:
        """Have `message.path.release(message)` called at the end of this instant, in order.

        For a path that may take no time: the message can lead to others at the same instant.
        """
        self.instant.stage(message)

    def stage_last(self, message: Message) -> None:
        """As `stage`, for a path that takes time: when nothing else happens at this instant."""
        self.instant.stage_last(message)

    def running_free(self, make: Make) -> FreeRunningHost:
        """Make the host of a free-running participant."""
        if self.windows is None:
            scenario = self.scenario
            self.windows = Windows(self, scenario.quantum, scenario.window)
        return self.windows.add(make)

    # -- messages

    def path(self, source: Node, destination: Node) -> Path:
        """The network's path between two nodes, behind what extensions put before it.

        Raises:
            SendError: there is none.
        """
        path = self.network.path(source, destination)
        for gate in self.gates:
            path = gate(source, path)
        return path

    def deliver(self, message: Message) -> None:
        """Hand a message that arrives now to its destination (called by the network)."""
        receiver = message.receiver
        if receiver.down:
            self.lose(message, Fate.NODE_DOWN)
            return
        message.at = self.calendar.now
        recorded = self._recorded
        recorded.append(message)
        if len(recorded) >= self.recorder.threshold:
            self.recorder.flush(message.at)
        for observer in self._observers:
            observer(message)
        receiver.deliver(message)

    def announce(self, message: Message, at: int) -> None:
        """Have a message delivered at a virtual time, ns (called by the network)."""
        self.arrive(message, at, message.sent, self.deliver)

    def arrive(
        self, message: Message, at: int, stamp: int, action: Callable[[Message], None]
    ) -> None:
        """As `announce`, with what orders it among arrivals of equal time, and what to call."""
        if self.windows is not None:
            at = self.windows.admit(message, at, stamp)
        key = (at, ARRIVAL, stamp, message.source_order, message.number)
        self.calendar.push((*key, action, message))

    def lose(self, message: Message, fate: Fate, at: int | None = None) -> None:
        """Record that a message is lost (called by the network).

        Args:
            at: when, ns; None: now.
        """
        message.at = self.calendar.current() if at is None else at
        message.fate = fate
        recorded = self._recorded
        recorded.append(message)
        if len(recorded) >= self.recorder.threshold:
            self.recorder.flush(message.at)
        for observer in self._observers:
            observer(message)

    def kind_number(self, kind: str, node: str) -> int:
        """The number of a kind of message; introduces it at its first use.

        Raises:
            SendError: not a non-empty string.
        """
        number = self.kinds.get(kind) if type(kind) is str else None
        if number is not None:
            return number
        try:
            readable = type(kind) is str and kind.encode() != b""
        except UnicodeEncodeError:
            readable = False
        if not readable:
            raise SendError(
                f"{node} cannot send: the kind is {kind!r}, not a name such as 'reading'",
                node=node,
                now=self.now,
            )
        number = self.kinds[kind] = kind_number(kind)
        self.recorder.kind(number, kind)
        return number

    def hint(self, name: object) -> str:
        """' (did you mean ...?)' for a node's name that does not exist, or nothing."""
        close = difflib.get_close_matches(str(name), self.names, n=1)
        return f" (did you mean {close[0]!r}?)" if close else ""

    # -- for backends and extensions

    def note_part(self, name: str, version: str) -> None:
        """Have the manifest say what took part: a program's version, a file's digest."""
        if self.archive is not None:
            self.archive.parts[name] = version

    def note_visit(self) -> None:
        """Have the manifest say that somebody from outside took part: no run is like this one."""
        if self.archive is not None:
            self.archive.manifest["determinism"] = "interactive"

    def at(self, time: int, action: Callable[[], None]) -> None:
        """Act at a virtual time (ns), before everything else at that instant.

        For what changes the world: faults, batteries that run out. Actions of equal time
        come in the order in which they were announced.
        """
        if time < self.calendar.current():
            raise UsageError(f"virtual time {time} ns has passed")
        if self.windows is not None:
            self.windows.cut(time)
        self._controls += 1
        self.calendar.push((time, CONTROL, 0, 0, self._controls, _act, action))

    def check_stop(self) -> None:
        """Raise if the run was asked to stop (called while a participant is waited for)."""
        if self.on_wait is not None:
            self.on_wait()

    def observe(self, observer: Callable[[Message], None]) -> None:
        """Call `observer(message)` whenever a message's fate comes, before its receiver acts.

        Observers must not send or change anything; `message.fate` and `message.at` say what
        happened.
        """
        self._observers.append(observer)

    def observe_lives(self, observer: Callable[[Node], None]) -> None:
        """Call `observer(node)` when a node has started, crashed or restarted; see `node.down`."""
        self._life_observers.append(observer)

    def observe_end(self, observer: Callable[[int], None]) -> None:
        """Call `observer(end)` when the run ends, at a virtual time (ns); it may still record.

        What happened at that very time or later does not count.
        """
        self._end_observers.append(observer)

    def note_life(self, node: Node) -> None:
        """A node has started or crashed (called by the node)."""
        for observer in self._life_observers:
            observer(node)

    def observe_grants(self, observer: Callable[[str, int, int], None]) -> None:
        """Call `observer(node, now, inputs)` whenever a participant is granted an instant."""
        self.grant_observers.append(observer)


def _start(node: Node) -> None:
    if not node.down and not node.lives:
        node.start()
        node.federation.note_life(node)


def _act(action: Callable[[], None]) -> None:
    action()


def exit_code_of(error: BaseException | None) -> ExitCode:
    """The exit code that an error which ended a run stands for."""
    if error is None:
        return ExitCode.OK
    if isinstance(error, SimcoreError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    return ExitCode.FAILED
