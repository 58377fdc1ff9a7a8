"""Node: what a SimPy process holds to send, receive, sleep, draw random numbers and measure.

A node knows nothing of networks or recording; it hands messages to a path and measurements
to the federation. Events that a node makes are resumed straight from the calendar, which
keeps their order independent of SimPy's and saves an event of the environment each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping
from heapq import heappush
from random import Random
from typing import TYPE_CHECKING, Any

import simpy
from simpy.core import StopSimulation
from simpy.events import Event

from simcore.calendar import TIMER, Deadline
from simcore.errors import SendError, ZeroDelayLoop
from simcore.loops import MAX_DEPTH, loop_error
from simcore.message import Fate, Message
from simcore.moment import Moment
from simcore.network import Nowhere
from simcore.payload import MAX_SIZE, PayloadError, freeze, size_of
from simcore.processes import Processes
from simcore.streams import bulk_stream, stream
from simcore.units import duration, known_durations

if TYPE_CHECKING:
    import numpy as np

    from simcore.federation import Federation
    from simcore.network import Path
    from simcore.scenario.model import NodeSpec

Value = bool | int | float | str
"""What can be recorded as a measurement."""

Model = Callable[["Node"], Generator[Event, Any, Any]]
"""A SimPy generator function that takes a node."""

_happen = Moment.happen


class Node:
    """A named element of the scenario that sends and receives messages.

    Attributes:
        name: as in results, `meter-3`.
        group: name of its entry in the scenario, `meter`.
        index: its number within the group, from 0.
        order: its place in the scenario, from 0; breaks ties at equal times.
        tier: device, network, edge or cloud.
        config: the scenario's `config` of this node.
        env: the SimPy environment, for resources, conditions and events of one's own.
        down: whether a fault has stopped it. What a node that is down sends or records
            goes nowhere.
        lives: how often it was started.
        born: when its present life began, virtual ns.
        model: what its SimPy process runs; None for a node that others drive.
    """

    __slots__ = (
        "_calendar", "_depth", "_destination", "_inbox", "_instant", "_measured",
        "_outages", "_parent", "_path", "_paths", "_processes", "_receivers", "_streams", "_timers",
        "born", "config", "down", "env", "federation", "group", "index", "lives", "model", "name",
        "order", "sent", "tier",
    )  # fmt: skip

    def __init__(self, federation: Federation, spec: NodeSpec, model: Model | None = None) -> None:
        self.federation = federation
        self.name = spec.name
        self.group = spec.group
        self.index = spec.index
        self.order = spec.order
        self.tier = spec.tier
        self.config: Mapping[str, Any] = spec.config
        self.env = federation.env
        self.down = False
        self.lives = 0
        self.born = 0
        self.sent = 0
        self.model = model
        self._calendar = federation.calendar
        self._paths: dict[str, Path] = {}
        self._path: Path | None = None
        self._destination = ""
        self._inbox: deque[Message] = deque()
        self._receivers: list[Moment] = []
        self._processes = Processes(self)
        self._streams: dict[str, Random] = {}
        self._measured = 0
        self._timers = 0
        self._outages = 0
        self._instant = -1
        self._depth = 0
        self._parent: Message | None = None

    def __repr__(self) -> str:
        return f"<Node {self.name}>"

    # -- time

    @property
    def now(self) -> int:
        """Virtual time in nanoseconds."""
        calendar = self._calendar
        return calendar.now if calendar.waking else calendar.current()

    def sleep(self, time: str | int) -> Event:
        """An event that happens after a duration: `yield node.sleep("1s")`.

        Args:
            time: a duration such as "250ms", or an int of nanoseconds.

        Raises:
            UnitError: not a duration.
        """
        span = known_durations.get(time) or duration(time)
        calendar = self._calendar
        now = calendar.now if calendar.waking else calendar.current()
        moment = Moment(self.env)
        self._timers = number = self._timers + 1
        if span:
            time = now + span
            heappush(calendar.heap, (time, TIMER, 0, self.order, number, _happen, moment))
            if time < calendar.armed_for:
                calendar.arm(time)
        else:
            depth = self._depth + 1 if self._instant == now else 1
            late = (moment, now, depth)
            calendar.push((now, TIMER, 0, self.order, number, self._wake_at_once, late))
        return moment

    def _wake_at_once(self, argument: tuple[Moment, int, int]) -> None:
        """End a sleep of no time: it counts towards a loop like a message without delay."""
        moment, now, depth = argument
        if depth > MAX_DEPTH:
            raise ZeroDelayLoop(
                f"{self.name} slept for no time more than {MAX_DEPTH} times at one instant",
                cycle=(f"{self.name} --sleep--> {self.name}",),
                node=self.name,
                now=now,
            )
        # What else the node does at this instant is no consequence of this pause.
        before = self._instant, self._depth, self._parent
        if self._instant != now:
            self._parent = None
        self._instant, self._depth = now, depth
        moment.happen(None)
        self._instant, self._depth, self._parent = before

    # -- messages

    def send(
        self,
        destination: str,
        kind: str,
        payload: Any = None,
        *,
        size: int | None = None,
        cause: Message | None = None,
    ) -> Message:
        """Send a message; it is frozen at once, so later changes to `payload` change nothing.

        Args:
            destination: name of a node.
            kind: what it is, as "reading"; results are grouped by it.
            payload: JSON values and bytes.
            size: bytes on the network; without it the length of the payload's JSON text.
            cause: the message that led to this one, for traces and end-to-end latency.

        Raises:
            SendError: unknown destination, no path, a payload that is not JSON, a bad size.
        """
        calendar = self._calendar
        now = calendar.now if calendar.waking else calendar.current()
        if self.down or now >= calendar.end:
            return self._lose(destination, kind, payload, now)
        # Nodes mostly send where they sent before; a dictionary for each is memory far away.
        path = self._path if destination is self._destination else None
        if path is None:
            path = self._find_path(destination)
        try:
            text = freeze(payload)
        except PayloadError as error:
            raise self._send_error(f"{kind!r} to {destination}: {error}") from error
        self.sent = number = self.sent + 1
        federation = self.federation
        receiver = path.receiver
        message = Message(
            now,
            self.order,
            number,
            receiver.order,
            federation.kinds.get(kind if type(kind) is str else "")
            or federation.kind_number(kind, self.name),
            size if size is not None else len(text) if text.isascii() else size_of(text),
            text,
            now,
            0,
            kind,
            self,
            receiver,
            path,
        )
        if cause is not None:
            message.follow(cause)
        if self._instant == now:
            message.depth, message.parent = self._depth + 1, self._parent
            if message.depth > MAX_DEPTH:
                raise loop_error(message)
        if size is not None and (type(size) is not int or not 0 <= size < MAX_SIZE):
            raise self._send_error(
                f"{kind!r} to {destination}: size is {size!r}, not a number of bytes below 2^40"
            )
        path.enter(message)
        return message

    def reply(
        self, message: Message, kind: str, payload: Any = None, *, size: int | None = None
    ) -> Message:
        """Send to the source of a message, naming it as the cause."""
        return self.send(message.source, kind, payload, size=size, cause=message)

    def receive(self, kind: str | None = None, timeout: str | int | None = None) -> Event:
        """An event that brings the next message: `msg = yield node.receive()`.

        Args:
            kind: only a message of this kind; others stay in the inbox, in order.
            timeout: a duration after which the event brings None instead.
        """
        moment = Moment(self.env)
        if kind is not None:
            moment.kind = kind
        if self._inbox:
            message = self._take(kind)
            if message is not None:
                moment.happen(message)
                return moment
        self._receivers.append(moment)
        if timeout is not None:
            calendar = self._calendar
            self._timers += 1
            time = self.now + duration(timeout)
            deadline = moment.deadline = Deadline(moment)
            key = (time, TIMER, 0, self.order, self._timers)
            calendar.push((*key, self._give_up, deadline))
        return moment

    def _take(self, kind: str | None) -> Message | None:
        inbox = self._inbox
        for position, message in enumerate(inbox):
            if kind is None or message.kind == kind:
                del inbox[position]
                return message
        return None

    def _give_up(self, deadline: Deadline) -> None:
        moment = deadline.moment
        if moment is not None and moment in self._receivers:
            self._receivers.remove(moment)
            moment.happen(None)

    def at(self, time: int, action: Callable[[], None]) -> None:
        """Act at a virtual time (ns) after this instant, unless the node crashes before.

        For extensions that act in a node's stead.
        """
        self._timers += 1
        # Apart from the timers of a participant that may stand behind the node: it counts its own.
        key = (time, TIMER, 1, self.order, self._timers)
        self._calendar.push((*key, self._act, (self.lives, action)))

    def _act(self, entry: tuple[int, Callable[[], None]]) -> None:
        life, action = entry
        if life == self.lives and not self.down:
            action()

    def cancel(self, event: Event) -> None:
        """Forget a `receive()` that is no longer waited for, so that it takes no message.

        Needed after `yield node.receive() | other`, when `other` came first, and after an
        interrupt.
        """
        if isinstance(event, Moment) and event in self._receivers:
            self._receivers.remove(event)
            self._calendar.call_off(event.deadline)

    @property
    def inbox(self) -> int:
        """Number of messages that arrived and were not received yet."""
        return len(self._inbox)

    def deliver(self, message: Message) -> None:
        """Take a message that has arrived (called by the federation)."""
        if message.sent == message.at:  # only what takes no time can make a loop of no time
            self._instant = message.at
            self._depth = message.depth
            self._parent = message
        receivers = self._receivers
        for moment in receivers:
            if moment.kind is None or moment.kind == message.kind:
                receivers.remove(moment)
                if moment.deadline is not None:
                    self._calendar.call_off(moment.deadline)
                callbacks = moment.callbacks
                moment.callbacks = None  # type: ignore[assignment]  # SimPy's mark of a past event
                moment._value = message
                try:
                    for callback in callbacks:
                        callback(moment)
                except StopSimulation as stop:
                    moment.stop(stop, callbacks, callback)
                return
        self._inbox.append(message)

    def _lose(self, destination: str, kind: str, payload: Any, now: int) -> Message:
        """What `send` gives where nothing is sent any more: a message without a way."""
        receiver = self.federation.nodes.get(destination, self)
        nowhere = Nowhere(receiver)
        text = freeze(payload)
        return Message(
            now, self.order, 0, receiver.order, 0, size_of(text), text, now, Fate.NODE_DOWN, kind,
            self, receiver, nowhere,
        )  # fmt: skip

    def reroute(self, destination: str, path: Path) -> None:
        """Have what this node sends to another enter a path of an extension's."""
        self._paths[destination] = path
        self._destination = ""

    def _find_path(self, destination: str) -> Path:
        path = self._paths.get(destination) or self._make_path(destination)
        self._destination, self._path = destination, path
        return path

    def _make_path(self, destination: str) -> Path:
        federation = self.federation
        target = federation.nodes.get(destination) if isinstance(destination, str) else None
        if target is None:
            hint = federation.hint(destination)
            raise self._send_error(f"to {destination!r}: there is no such node{hint}")
        try:
            path = self._paths[destination] = federation.path(self, target)
        except SendError as error:
            raise self._send_error(str(error)) from None
        return path

    def _send_error(self, message: str) -> SendError:
        return SendError(f"{self.name} cannot send {message}", node=self.name, now=self.now)

    # -- random numbers and measurements

    @property
    def random(self) -> Random:
        """This node's random numbers; no other node's change them."""
        return self.stream("model")

    def stream(self, purpose: str) -> Random:
        """A further random stream of this node, apart from all others."""
        found = self._streams.get(purpose)
        if found is None:
            found = self._streams[purpose] = stream(self.federation.seed, self.name, purpose)
        return found

    def numpy(self, purpose: str = "numpy") -> np.random.Generator:
        """A numpy generator of this node for drawing arrays; a new one at each call."""
        return bulk_stream(self.federation.seed, self.name, purpose)

    def record(self, name: str, value: Value) -> None:
        """Record a measurement at the present instant.

        Args:
            name: as "temperature"; results are grouped by it.
            value: a bool (shown as a share), an int, a finite float or a string.

        Raises:
            ModelError: another type, or a float that is not finite.
        """
        calendar = self._calendar
        now = calendar.current()
        if not self.down and now < calendar.end:
            self._measured = number = self._measured + 1
            self.federation.recorder.measure(now, self, number, name, value)

    # -- life

    def start(self) -> None:
        """Start the model (called by the federation at virtual time 0, and after a restart)."""
        self.lives += 1
        self.born = self.now
        if self.model is not None:
            self._processes.start()

    def process(self, generator: Generator[Event, Any, Any]) -> simpy.Process:
        """Run a further SimPy process of this node; it ends with the node.

        An exception in it goes to the process that waits for it, and ends the run if none does.
        """
        return self._processes.add(generator)

    def owns(self, generator: object) -> bool:
        """Whether a generator is that of one of this node's processes."""
        return self._processes.own(generator)

    def crash(self) -> None:
        """Stop at once: processes end, the inbox and everything waited for is lost."""
        self._outages += 1
        self.down = True
        self._processes.end()
        for moment in self._receivers:
            self._calendar.call_off(moment.deadline)
        self._receivers.clear()
        self._inbox.clear()
        self.federation.network.cut(self)
        self.federation.note_life(self)

    def restart(self) -> None:
        """Start anew when the last of overlapping crashes ends; counters and streams go on."""
        self._outages -= 1
        if self._outages == 0:
            self.down = False
            self.federation.network.mend(self)
            self.start()
            self.federation.note_life(self)

    def close(self) -> None:
        """End with the run: what the model has open is closed, nothing is sent any more."""
        self.down = True
        self._processes.end()
        # Messages are out of the collector's sight, so no ring of references may hold one.
        self._receivers.clear()
        self._inbox.clear()
        self._parent = None
