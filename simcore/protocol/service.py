"""The participant's side of a service: the same code hosts it in-process, in a child process
and in a container, so that the three cannot differ.

A host is advanced to an instant with the messages that arrived; it answers with what the
service sends (now or, when computing takes virtual time, later), what it measures, and when
it wants to be advanced next. Standard library only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from heapq import heapify, heapreplace
from pathlib import Path
from random import Random
from time import perf_counter_ns
from typing import Any, NamedTuple, Protocol

from simcore.distributions import Distribution, Sampler, parse
from simcore.errors import UsageError
from simcore.protocol.calibration import HANDLER_MACHINE, HANDLER_TIME, machine
from simcore.streams import stream
from simcore.units import duration


class Overloaded(Exception):
    """`ctx.compute` found all workers busy and the bounded queue full.

    A service may catch it and answer; uncaught it ends the handler, and a measurement
    `rejected` of value 1 is recorded.
    """


class Incoming(Protocol):
    """What a service sees of a message."""

    @property
    def id(self) -> str:
        """As `meter-3/17`."""

    @property
    def source(self) -> str:
        """Name of the node that sent it."""

    @property
    def kind(self) -> str:
        """What it is, as `reading`."""

    @property
    def payload(self) -> Any:
        """Its value, a fresh copy."""

    @property
    def size(self) -> int:
        """Bytes on the network."""

    @property
    def sent(self) -> int:
        """Virtual time, ns."""


class Service(Protocol):
    """What a service class looks like; all methods are optional.

    One that has `on_messages(ctx, messages)` is given all that arrive at one instant together, in
    the order of arrival, in place of `on_message`.
    """

    def start(self, ctx: Context) -> None:
        """Called once at virtual time 0, and after a restart."""

    def on_message(self, ctx: Context, msg: Any) -> None:
        """Called for each message, in the order of arrival."""

    def on_timer(self, ctx: Context, name: str) -> None:
        """Called when a timer set by `ctx.set_timer` is due."""


HANDLERS = ("start", "on_message", "on_messages", "on_timer")
"""Methods of a service, at least one of which it needs."""


def check_service(service: Any, name: str) -> None:
    """Refuse what is called a service and would never do anything.

    Raises:
        UsageError: it has none of the methods of a service.
    """
    if not any(callable(getattr(service, each, None)) for each in HANDLERS):
        raise UsageError(
            f"{name} has none of the methods of a service: {', '.join(HANDLERS)}; "
            "it would never do anything"
        )


class Output(NamedTuple):
    """A message that a service sends."""

    at: int
    destination: str
    kind: str
    payload: str
    size: int | None
    cause: Any
    waited: int
    computed: int
    source: str | None = None
    """The node that sends it, where a participant hosts several."""


_new = tuple.__new__
"""Makes a named tuple of all its fields without the function in Python that takes them by name."""


class Measure(NamedTuple):
    """A measurement that a service records; `at` is when what it measures is done."""

    at: int
    name: str
    value: bool | int | float | str
    node: str | None = None
    """The node that measures, where a participant hosts several."""


class Done(NamedTuple):
    """Answer to an advance."""

    outputs: Sequence[Output]
    measures: Sequence[Measure]
    next: int | None = None
    """When the service wants to be advanced without a message, ns; None: never."""


class Context:
    """What a service holds: the present instant and everything it can do.

    Attributes:
        name: the node's name.
        now: virtual time in ns.
        config: the scenario's `config` of this node.
        random: random numbers of this service.
    """

    def __init__(self, host: ServiceHost) -> None:
        self._host = host
        self.name = host.name
        self.config = host.config
        self.now = 0
        self._cause: Any = None
        self._at = 0
        self._waited = 0
        self._computed = 0
        self._holds_worker = False

    @property
    def random(self) -> Random:
        """This service's random numbers; no other node's change them."""
        return self.stream("service")

    def stream(self, purpose: str) -> Random:
        """A further random stream, apart from all others."""
        return self._host.stream(purpose)

    def path(self, name: str) -> Path:
        """Where a file is that the scenario names relative to itself; also in a container."""
        return self._host.base / name

    def send(
        self,
        destination: str,
        kind: str,
        payload: Any = None,
        *,
        size: int | None = None,
        cause: Incoming | None = None,
    ) -> None:
        """Send a message: now, or when the computing declared before it in this handler ends.

        Its cause is the message being handled, unless another of this instant is named.
        Arguments as for `Node.send`.
        """
        host = self._host
        fields = (
            self._at,
            destination,
            kind,
            host.freeze(payload),
            size,
            self._cause if cause is None else cause,
            self._waited,
            self._computed,
            None,
        )
        host.outputs.append(_new(Output, fields))

    def reply(
        self, msg: Incoming, kind: str, payload: Any = None, *, size: int | None = None
    ) -> None:
        """Send to the source of a message."""
        self.send(msg.source, kind, payload, size=size)

    def compute(self, cost: str | int | Mapping[str, Any] | Distribution) -> int:
        """Declare that computing takes virtual time on one of the node's workers.

        Args:
            cost: a duration ("4ms", or an int of ns) or a distribution, as in a scenario; the
                file of a table is relative to it, and read once.

        Returns:
            When the computing ends (ns); what is sent afterwards in this handler leaves then.

        Raises:
            Overloaded: all workers are busy and the node's queue is full.
            UnitError: it is no distribution, or its table cannot be read.
        """
        start, end = self._host.book(self._at, cost, self._holds_worker)
        self._holds_worker = True
        self._waited += start - self._at
        self._computed += end - start
        self._at = end
        return end

    def set_timer(self, name: str, after: str | int) -> None:
        """Have `on_timer(ctx, name)` called after a duration; the same name replaces it."""
        host = self._host
        host.timer_count += 1
        host.timers[name] = (self.now + duration(after), host.timer_count)

    def cancel_timer(self, name: str) -> None:
        """Forget a timer; one that is not set is no error."""
        self._host.timers.pop(name, None)

    def record(self, name: str, value: bool | int | float | str) -> None:
        """Record a measurement, at the end of the computing declared so far in this handler."""
        self._host.measures.append(Measure(self._at, name, value))


class ServiceHost:
    """Runs one service instance.

    Args:
        service: the instance.
        name: the node's name.
        seed: the scenario's seed.
        config: the node's `config`.
        base: the scenario's folder, where files that it names are.
        workers: computations that run at the same time.
        queue: computations that may wait for a worker; None is unbounded.
        freeze: makes the canonical JSON text of a payload.
        life: which start of the node this is, from 1; each life draws numbers of its own.
        calibrate: measure how long the handler of each message takes on this machine.
    """

    def __init__(
        self,
        service: Any,
        *,
        name: str,
        seed: int,
        config: Mapping[str, Any],
        base: Path,
        workers: int = 1,
        queue: int | None = None,
        freeze: Callable[[Any], str],
        life: int = 1,
        calibrate: bool = False,
    ) -> None:
        self.name = name
        self.config = config
        self.base = base
        self.freeze = freeze
        self.outputs: list[Output] = []
        self.measures: list[Measure] = []
        self.timers: dict[str, tuple[int, int]] = {}
        self.timer_count = 0
        self._seed = seed
        self._owner = name if life == 1 else f"{name} in life {life}"
        self._streams: dict[str, Random] = {}
        self._tables: dict[str, Sampler] = {}
        self._free = [0] * workers
        heapify(self._free)
        self._queue = queue
        self._starts: deque[int] = deque()
        self._started = False
        self._handle = self._timed if calibrate else self._call
        self._overloaded = self._told = False
        self._on_start = getattr(service, "start", None)
        self._on_message = getattr(service, "on_message", None)
        self._on_messages = getattr(service, "on_messages", None)
        self._on_timer = getattr(service, "on_timer", None)
        self._context = Context(self)

    def stream(self, purpose: str) -> Random:
        """The random stream of this node for a purpose."""
        found = self._streams.get(purpose)
        if found is None:
            found = self._streams[purpose] = stream(self._seed, self._owner, purpose)
        return found

    def book(
        self, at: int, cost: str | int | Mapping[str, Any] | Distribution, goes_on: bool
    ) -> tuple[int, int]:
        """Take the worker that is free first, or the one that just computed if that `goes_on`.

        Returns:
            Start and end of the computing (ns).
        """
        span = self.span(cost)
        if goes_on:
            self._free[self._free.index(at)] = at + span
            heapify(self._free)
            return at, at + span
        free = self._free[0]
        start = free if free > at else at
        starts = self._starts
        while starts and starts[0] <= at:
            starts.popleft()
        if start > at:
            if self._queue is not None and len(starts) >= self._queue:
                self._overloaded = True
                raise Overloaded(f"{self.name}: {len(starts)} computations wait already")
            starts.append(start)
        heapreplace(self._free, start + span)
        return start, start + span

    def span(self, cost: str | int | Mapping[str, Any] | Distribution) -> int:
        """How long a computing takes (ns); drawn, where the cost is a distribution."""
        return duration(cost) if isinstance(cost, (str, int)) else self._sampler(cost)()

    def _sampler(self, cost: Any) -> Sampler:
        """What draws computing times; the file of a table is read at its first use."""
        if not isinstance(cost, Mapping) or not isinstance(cost.get("table"), str):
            return parse(cost).sampler(self.stream("compute"))
        key = str(cost)
        found = self._tables.get(key)
        if found is None:
            found = self._tables[key] = parse(cost, self.base).sampler(self.stream("compute"))
        return found

    def advance(self, now: int, inputs: Sequence[Any]) -> Done:
        """Start the service if this is its first advance, handle messages, then timers due.

        Args:
            now: the instant, ns.
            inputs: messages in the order of arrival.
        """
        if not self._started:
            self._started = True
            if self._on_start is not None:
                self._call(now, None, self._on_start)
        if self._on_messages is not None:
            if inputs:
                self._handle(now, None, self._on_messages, inputs)
        elif self._on_message is not None:
            for message in inputs:
                self._handle(now, message, self._on_message, message)
        if self.timers:
            self._wake(now)
        return self._done()

    def _wake(self, now: int) -> None:
        """Handle the timers that are due."""
        due = [(when, number, name) for name, (when, number) in self.timers.items() if when <= now]
        for when, number, name in sorted(due):
            if self.timers.get(name) == (when, number):
                del self.timers[name]
                if self._on_timer is not None:
                    self._call(now, None, self._on_timer, name)

    def _call(self, now: int, cause: Any, handler: Callable[..., None], *arguments: Any) -> None:
        context = self._context
        # As a new context would be, without making one for each message.
        context.now = context._at = now
        context._cause = cause
        context._waited = context._computed = 0
        context._holds_worker = False
        try:
            handler(context, *arguments)
        except Overloaded:
            self.measures.append(Measure(now, "rejected", 1))
        finally:
            context._cause = None

    def _timed(self, now: int, cause: Any, handler: Callable[..., None], *arguments: Any) -> None:
        """As `_call`, and record how long it took, unless it found no room to compute."""
        self._overloaded = False
        began = perf_counter_ns()
        self._call(now, cause, handler, *arguments)
        took = perf_counter_ns() - began
        if self._overloaded:
            return
        self.measures.append(Measure(now, HANDLER_TIME, took))
        if not self._told:
            self._told = True
            self.measures.append(Measure(now, HANDLER_MACHINE, machine()))

    def _done(self) -> Done:
        outputs, self.outputs = self.outputs, []
        measures, self.measures = self.measures, []
        timers = self.timers
        following = min(timers.values())[0] if timers else None
        return _new(Done, (outputs, measures, following))
