"""Federation: one run. Ties environment, nodes, network, extensions and recorder together.

It owns no behaviour of its own beyond that: when things happen is the calendar's and the
arbiter's business, whether a message arrives the network's, what nodes do theirs.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING

import simpy

from simcore.arbiter import arbiter_of
from simcore.calendar import ARRIVAL, CONTROL, Calendar, tells_nanoseconds
from simcore.clock import Clock
from simcore.collection import paused
from simcore.errors import ExitCode, ResultsError, SendError, SimcoreError, UsageError
from simcore.message import Fate, Message
from simcore.plugins import Plugins
from simcore.results.archive import Archive
from simcore.results.digest import kind_number
from simcore.results.recorder import Recorder
from simcore.units import duration

if TYPE_CHECKING:
    from simcore.network import Network
    from simcore.node import Node
    from simcore.participant import ReactiveNode
    from simcore.scenario.model import Scenario


class Federation:
    """One run of a scenario on a SimPy environment.

    Args:
        scenario: what to run.
        env: a plain SimPy environment; its present time becomes virtual time 0. None makes one.
        unit: what one unit of the environment's time stands for, as "1s"; "1ns" by default.
        out: run directory to make and write; None keeps the digest only.
        plugins: backends, network models and extensions; the installed ones by default.

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
        out: Path | str | None = None,
        plugins: Plugins | None = None,
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
        self.calendar = Calendar(self.env, scale, self._conclude_instant)
        self.calendar.end = self.end
        self.names = [spec.name for spec in scenario.nodes]
        self.kinds: dict[str, int] = {}
        self.digest: str | None = None
        self.closed = False
        self.attend: Callable[[], None] | None = None
        """Called between two instants when `calendar.busy` was set from outside."""
        self._arbiter = arbiter_of(self.env)
        self._asked = False
        self._controls = 0
        self._staged: list[Message] = []
        self._demanding: dict[int, ReactiveNode] = {}
        self._observers: list[Callable[[Message], None]] = []
        self.grant_observers: list[Callable[[str, int, int], None]] = []
        self.archive = None if out is None else Archive(Path(out), scenario, self.plugins)
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
            if self.archive is not None and exit_code_of(error) != ExitCode.FAILED:
                self.archive.discard()  # nothing was started, so nothing is to be looked at
            raise

    @paused()  # what it makes is there to stay
    def _build(self) -> None:
        scenario, plugins = self.scenario, self.plugins
        self._nodes: dict[str, Node] = {}
        self.nodes: Mapping[str, Node] = MappingProxyType(self._nodes)
        self.network: Network = plugins.netmodels[scenario.network["model"]].build(self, scenario)
        for spec in scenario.nodes:
            node = plugins.backends[spec.implementation].attach(self, spec)
            self._nodes[spec.name] = node
            self.calendar.push((0, CONTROL, 1, spec.order, 0, _start, node))
        for name, value in scenario.extensions.items():
            plugins.extensions[name].attach(self, value)

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
        try:
            self._close(self.calendar.now + 1, error)
        except Exception as further:  # noqa: BLE001 - must not hide the first error
            if further is not error:
                error.add_note(f"and then {type(further).__name__}: {further}")

    @paused()  # all nodes are still there, and what it makes is written at once
    def _close(self, end: int, error: BaseException | None) -> str:
        if self.closed:
            return self.digest or ""
        self.closed = True
        self.calendar.end = -1
        failure = error
        try:
            try:
                # Before the recorder gives what is still under way its fate.
                links = list(self.network.metrics(end)) if hasattr(self, "network") else []
                self.digest = self.recorder.finish(end, self._in_flight(), links)
            finally:
                self.calendar.heap.clear()  # the environment may go on; this run does not
                self._staged.clear()
                if hasattr(self, "network"):
                    self.network.close()
                self._close_nodes()
        except BaseException as further:
            failure = failure or further
            raise
        finally:
            if self.archive is not None:
                digest = self.digest if failure is None else None
                self.archive.finish(end, digest, failure, self.recorder.counts)
        return self.digest

    def _close_nodes(self) -> None:
        """Close all, whatever one of them raises; the first error is raised at the end."""
        errors = []
        for node in getattr(self, "_nodes", {}).values():
            try:
                node.close()
            except SimcoreError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def on_links(self) -> list[Message]:
        """Messages that have entered the network and have no fate yet."""
        entries = (entry[6] for entry in self.calendar.heap if entry[1] == ARRIVAL)
        return [message for message in entries if message.fate == Fate.DELIVERED]

    def _in_flight(self) -> list[Message]:
        return sorted([*self.on_links(), *self._staged], key=_entry_order)

    # -- instants

    def _conclude_instant(self) -> None:
        if self.attend is not None:
            self.attend()
        self._arbiter.conclude(self.env)

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            self.calendar.busy = True
            self._arbiter.ask(self)

    def stage(self, message: Message) -> None:
        """Have `message.path.release(message)` called at the end of this instant, in order."""
        self._staged.append(message)
        self._ask()

    def demand(self, node: ReactiveNode) -> None:
        """Have `node.advance()` called at the end of this instant, in order."""
        self._demanding[node.order] = node
        self._ask()

    def settle(self) -> None:
        """One round at the end of an instant (called by the arbiter)."""
        self._asked = False
        if self.closed:
            return
        if self._staged:
            staged, self._staged = self._staged, []
            if len(staged) > 1:
                staged.sort(key=_entry_order)
            for message in staged:
                message.path.release(message)
        self.calendar.handle_due()
        if self._demanding:
            demanding, self._demanding = self._demanding, {}
            for order in sorted(demanding):
                demanding[order].advance()
        if self.calendar.is_due():
            self._ask()

    # -- messages

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
        if self._observers:
            self._notify(message)
        receiver.deliver(message)

    def lose(self, message: Message, fate: Fate) -> None:
        """Record that a message is lost now (called by the network)."""
        message.at = self.calendar.current()
        message.fate = fate
        recorded = self._recorded
        recorded.append(message)
        if len(recorded) >= self.recorder.threshold:
            self.recorder.flush(message.at)
        if self._observers:
            self._notify(message)

    def _notify(self, message: Message) -> None:
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

    # -- for extensions

    def at(self, time: int, action: Callable[[], None]) -> None:
        """Act at a virtual time (ns), before everything else at that instant.

        For what changes the world: faults, batteries that run out. Actions of equal time
        come in the order in which they were announced.
        """
        if time < self.calendar.current():
            raise UsageError(f"virtual time {time} ns has passed")
        self._controls += 1
        self.calendar.push((time, CONTROL, 0, 0, self._controls, _act, action))

    def observe(self, observer: Callable[[Message], None]) -> None:
        """Call `observer(message)` whenever a message's fate comes, before its receiver acts.

        Observers must not send or change anything; `message.fate` and `message.at` say what
        happened.
        """
        self._observers.append(observer)

    def observe_grants(self, observer: Callable[[str, int, int], None]) -> None:
        """Call `observer(node, now, inputs)` whenever a participant is granted an instant."""
        self.grant_observers.append(observer)


def _entry_order(message: Message) -> tuple[int, int]:
    return message.source_order, message.number


def _start(node: Node) -> None:
    if not node.down and not node.lives:
        node.start()


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
