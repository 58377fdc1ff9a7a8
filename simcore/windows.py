"""Windows: how free-running participants keep step with the rest.

A free-running participant cannot be asked at every instant. It is let go for a half-open window
`[t, t + W)`, with everything that will arrive inside handed over beforehand, and what it sent is
collected at the window's end. That is exact while `W` is at most the least delay of every link
that touches such a node: what is sent at or after `t` arrives at or after `t + W`, and what was
sent before `t` is known at `t`.

All free-running participants of a run share their boundaries. So a link that one of them feeds
takes the messages of *all* its feeders at a boundary, in the order of their stamps, and a queue
that they share sees the true sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from simcore.calendar import BOUNDARY
from simcore.clock import NEVER
from simcore.errors import LookaheadError, ModelError, UsageError
from simcore.hosting import Host, Make
from simcore.message import Message, entry_order
from simcore.protocol.service import Done
from simcore.units import show_exact

if TYPE_CHECKING:
    from simcore.federation import Federation


class Late(NamedTuple):
    """Messages that were handed over later than they arrived, as a quantum allows."""

    messages: int
    worst: int
    """Greatest lateness, ns."""
    total: int
    """Sum of all, ns."""


class FreeRunningHost(Host):
    """Drives a participant that is granted windows."""

    def __init__(self, federation: Federation, make: Make, windows: Windows) -> None:
        super().__init__(federation, make)
        self._windows = windows
        self._expected: list[tuple[int, int, int, int, Message]] = []

    def start(self, now: int) -> None:
        """Begin a life where the next window begins, which may be less than a grain earlier."""
        super().start(self._windows.position)

    def _begin_life(self, now: int, following: int | None) -> None:
        """It is let go with the next window, so a later life must fit those of the first."""
        assert self.participant is not None
        grain = self.participant.grain
        if self._windows.length and self._windows.grain % grain:
            raise UsageError(
                f"{self.name} started again with a grain of {grain} ns, which does not fit that "
                f"of the run, {self._windows.grain} ns"
            )

    def check_crash(self) -> None:
        """Refuse a crash inside a window: it was not known when the window was granted."""
        if self._windows.end is not None:
            raise UsageError(
                f"{self.name} cannot crash at {self.federation.now} ns: free-running participants "
                f"are on their way to {self._windows.end} ns; announce it with federation.at"
            )

    def take(self, message: Message) -> None:
        """An arrival was handed over before, or will be at the end of this instant."""

    def forget(self) -> None:
        """Let go of all messages."""
        self._expected.clear()

    def expect(self, at: int, stamp: int, message: Message) -> None:
        """Note an arrival, for the window that it falls into."""
        heappush(self._expected, (at, stamp, message.source_order, message.number, message))

    def begin(self, start: int, until: int) -> bool:
        """Let the participant go for a window; whether there is one."""
        inputs: list[Message] = []
        expected = self._expected
        while expected and expected[0][0] < until:
            at, *_, message = heappop(expected)
            # What arrived while the participant was down, or was lost on its way, is gone.
            if at >= start and not message.fate:
                message.at = at
                inputs.append(message)
        if self.participant is None:
            return False
        if inputs:
            inputs = [message for message in inputs if not message.receiver.down]
        for observer in self.federation.grant_observers:
            observer(self.name, start, len(inputs))
        self.participant.begin(until, inputs)
        return True

    def finish(self, start: int, until: int) -> Done:
        """Take what the participant did in a window."""
        assert self.participant is not None
        done = self.participant.finish()
        assert isinstance(done, Done)
        for several in (done.outputs, done.measures):
            for each in several:
                if not start <= each.at < until:
                    raise ModelError(
                        f"{self.name} answered the window from {start} to {until} ns with "
                        f"something at {each.at} ns, which is outside",
                        node=self.name,
                        now=start,
                    )
        return done

    def apply(self, done: Done, end: int) -> None:
        """Send and record what the participant did before `end` (ns)."""
        for measure in sorted(done.measures, key=attrgetter("at")):
            node = self.node_of(measure.node)
            if measure.at < end:
                node.measure(measure)
        for output in sorted(done.outputs, key=attrgetter("at")):
            node = self.node_of(output.source)
            if output.at < end and not node.down:
                message = node.emit(output)
                message.path.enter(message)


class Windows:
    """The windows of one run.

    Args:
        federation: the run.
        quantum: length (ns) of windows where links promise less; None: there is no such link.
        longest: upper limit of a window's length, ns.

    Attributes:
        hosts: the free-running participants.
        position: everything that they did before this instant (ns) is known.
        end: end of the window that is under way; None between windows.
        length: of a window that nothing cuts, ns.
        grain: windows begin and end at multiples of it, ns.
        count: windows granted so far.
        late: what a quantum cost.
    """

    def __init__(
        self, federation: Federation, quantum: int | None = None, longest: int | None = None
    ) -> None:
        self.hosts: list[FreeRunningHost] = []
        self.position = 0
        self.end: int | None = None
        self.length = 0
        self.grain = 1
        self.count = 0
        self.late = Late(0, 0, 0)
        self._federation = federation
        self._quantum = quantum
        self._longest = longest
        self._under_way: list[FreeRunningHost] = []
        self._entering: list[Message] = []
        self._cuts: list[int] = []
        self._boundaries = 0
        self._resume = 0

    def add(self, make: Make) -> FreeRunningHost:
        """Have one more participant."""
        host = FreeRunningHost(self._federation, make, self)
        self.hosts.append(host)
        return host

    def names(self) -> frozenset[str]:
        """The free-running nodes."""
        return frozenset(node.name for host in self.hosts for node in host.nodes)

    def open(self) -> None:
        """Settle length and grain, once all participants are ready; the run begins.

        Raises:
            UsageError: no window is possible.
        """
        grains = {h.participant.grain for h in self.hosts if h.participant is not None}
        self.grain = grain = max(grains, default=1)
        odd = [each for each in grains if grain % each]
        if odd:
            raise UsageError(
                f"participants with the grains {grain} ns and {odd[0]} ns cannot share boundaries"
            )
        if self._longest is not None and self._longest < grain:
            raise UsageError(
                f"window: {show_exact(self._longest)} is shorter than the grain of a free-running "
                f"participant, {show_exact(grain)}"
            )
        names = self.names()
        least = self._federation.network.least_delay(names)
        length = max(least, self._quantum or 0)
        if self._longest is not None:
            length = min(length, self._longest)
        self.length = length - length % grain if length < NEVER else NEVER
        if self.length < grain:
            raise UsageError(
                f"no window is possible: the least delay of a link that touches a free-running "
                f"node ({', '.join(sorted(names)[:3])}) is {show_exact(least)}, "
                f"the grain is {show_exact(grain)}; give those links a delay, or the scenario a "
                "quantum"
            )
        self._federation.recorder.held_from = 0
        self._have_boundary(0)

    # -- boundaries

    def cut(self, time: int) -> None:
        """End a window at a time (ns), as the world changes then.

        Raises:
            UsageError: the window that is under way ends later.
        """
        if self.end is not None and time < min(self.end, self._federation.end):
            raise UsageError(
                f"virtual time {time} ns is too soon to announce a change: free-running "
                f"participants are on their way to {self.end} ns"
            )
        heappush(self._cuts, time)

    def _have_boundary(self, time: int) -> None:
        self._boundaries += 1
        self._federation.calendar.push((time, BOUNDARY, 0, 0, self._boundaries, self._reach, time))

    def _reach(self, now: int) -> None:
        """First of all at a boundary: take what was done, and let it enter its links."""
        if self.end is not None:
            self._collect(now)
        self._federation.network.reach(self.position, self.grain)
        # Not before all of it is recorded: who did it comes one after the other, not in time.
        self._federation.recorder.held_from = self.position
        self._federation.instant.ask()  # for the end of this instant, where `grant` is called

    def _collect(self, end: int) -> None:
        """Take what was done in the window under way, as far as it lies before `end`."""
        assert self.end is not None
        start, until = self.position, self.end
        done = [(host, host.finish(start, until)) for host in self._under_way]
        self.position, self.end = until, None
        for host, each in done:
            if each.outputs or each.measures:  # in most windows there is nothing
                host.apply(each, end)
        if self._entering:
            self._release(min(until, end))

    def _release(self, end: int) -> None:
        """Let enter their links what is stamped before `end` (ns), in the order of the stamps."""
        ready = sorted((m for m in self._entering if m.entered < end), key=_stamp_order)
        self._entering = [message for message in self._entering if message.entered >= end]
        for message in ready:
            message.path.release(message)

    def grant(self) -> None:
        """Last of all at an instant: let all participants go, unless they are on their way."""
        now = self._federation.calendar.now
        if self.end is not None or now < self._resume:
            return
        start = self.position
        cut = self._next_cut(now)
        until = start + self.length
        event = self._federation.network.next_event()
        if event is not None and self._quantum is None:
            until = min(until, event)
        until = min(until, cut)
        until -= until % self.grain
        last = self._federation.end
        if until <= start and cut >= last:
            until = last + -last % self.grain  # what is done after the end is not looked at
        if until <= start:
            # The world changes within one grain: wait. For the participants it does so now.
            self._resume = cut
            self._have_boundary(cut)
            return
        self._let_go(until)
        self._have_boundary(until)

    def _let_go(self, until: int) -> None:
        self.end = until
        self.count += 1
        self._under_way = [host for host in self.hosts if host.begin(self.position, until)]

    def _next_cut(self, now: int) -> int:
        while self._cuts and self._cuts[0] <= now:
            heappop(self._cuts)
        return min(self._federation.end, self._cuts[0]) if self._cuts else self._federation.end

    # -- messages

    def stage(self, message: Message) -> None:
        """Have `message.path.release(message)` called at the boundary that its stamp is behind."""
        self._entering.append(message)

    def entering(self) -> Sequence[Message]:
        """Messages that wait to enter a link."""
        return self._entering

    def admit(self, message: Message, at: int, stamp: int) -> int:
        """Note an arrival at a node that may be free-running; returns when it arrives.

        Args:
            at: when the network delivers it, ns.
            stamp: what orders it among arrivals of equal time.
        """
        host = getattr(message.receiver, "host", None)
        if not isinstance(host, FreeRunningHost):
            return self.not_before(message, at)
        at = self.not_before(message, at, free=True)
        host.expect(at, stamp, message)
        return at

    def not_before(self, message: Message, at: int, *, free: bool = False) -> int:
        """When something due at `at` can happen at the earliest; later counts as late."""
        # The environment may have gone on behind the end of this run.
        earliest = min(self._federation.calendar.now, self._federation.end)
        if free and self.end is not None:
            earliest = self.end
        if at >= earliest:
            return at
        if self._quantum is None:
            raise LookaheadError(
                f"{message.id} to {message.destination} comes {earliest - at} ns too soon: the "
                f"network promised at least {self.length} ns for what free-running nodes send "
                "and receive",
                node=message.source,
                now=at,
            )
        self.note_late(message, earliest - at)
        return earliest

    def note_late(self, message: Message, by: int) -> None:
        """Count a message that is handed over later than it arrived, by a time (ns)."""
        self._federation.recorder.late(message, by)
        count, worst, total = self.late
        self.late = Late(count + 1, max(worst, by), total + by)

    # -- end

    def forget(self) -> None:
        """Let go of all messages."""
        self._entering.clear()

    def close(self, end: int) -> None:
        """Take what is outstanding, as far as it lies before the end of the run (ns)."""
        if self.end is None and self.position < end:
            self._let_go(self.position + self.grain)  # the run ends within a grain that waits
        if self.end is not None:
            self._collect(end)
        self._release(end)


def _stamp_order(message: Message) -> tuple[int, int, int]:
    return message.entered, *entry_order(message)
