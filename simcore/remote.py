"""A participant outside simcore: a program that speaks the protocol.

What starts the program is the backend's business (a process, a container); here is what all of
them share: letting it in, the exchange of ADVANCE and DONE, its end, and the one report of
whatever it does wrong. Waiting has deadlines in wall time, and while simcore waits it looks after
Ctrl-C and after the program's death.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from simcore.answers import (
    Answers,
    Dialect,
    NetworkAnswers,
    check_ready,
    given_up,
    unasked,
    wrong_sequence,
)
from simcore.errors import ParticipantError
from simcore.failure import (
    ANSWERING,
    CONNECTING,
    ENDING,
    PARTING,
    READING,
    READYING,
    Exchange,
    Phase,
    report,
)
from simcore.launch import TOO_MANY_FILES, LaunchError
from simcore.message import Message
from simcore.participant import Kind, NetworkDone, Participant
from simcore.programs import Launcher, Running
from simcore.protocol import frames
from simcore.protocol.channel import (
    Channel,
    ChannelClosed,
    ChannelError,
    DeadlinePassed,
    LineTooLong,
)
from simcore.protocol.frames import MAX_LINE, ProtocolError, encode
from simcore.protocol.pipes import Pipes
from simcore.protocol.service import Done

if TYPE_CHECKING:
    from simcore.federation import Federation

_GRACE = 1.0
"""Seconds that a program's last words may take to come once it has ended, or its end once its
connection has closed."""

_PARTING = 0.1
"""Seconds for telling a participant that it broke a rule."""


class _Ended(Exception):
    """The program ended while it was waited for."""


class Remote(Participant):
    """One life of a participant outside simcore.

    Args:
        federation: the run.
        name: of the participant: that of its node, or of the group that it hosts.
        nodes: names of its nodes.
        launcher: starts its program.
        kind: what it is to be granted; it has to say the same.
        config: handed to it as it is.
        life: number of this life, from 1.
        transport: unix, tcp or stdio.
        start_timeout: seconds of wall time until it must be ready.
        timeout: seconds of wall time that it may take to read an ADVANCE, to answer one, and to
            end.
        dialect: how ADVANCE is written and DONE is read; without, as `docs/protocol.md` says.
        recorded: whether the results tell of it; not if it stands behind no node.
        advice: what its user may do when it fails, from what it was to do and the rule that it
            broke; a line for the report, or None.
    """

    _dying = _GRACE
    """Seconds that its end may take to be known once its connection has closed."""

    def __init__(
        self,
        federation: Federation,
        name: str,
        nodes: Sequence[str],
        launcher: Launcher,
        *,
        kind: Kind = "reactive",
        config: Mapping[str, Any] | None = None,
        life: int = 1,
        transport: str = "unix",
        start_timeout: float = 120.0,
        timeout: float = 60.0,
        dialect: Dialect | None = None,
        recorded: bool = True,
        advice: Callable[[Phase, str], str | None] | None = None,
    ) -> None:
        self.kind = kind
        self.name = name
        self.instructions: int | None = None
        """Executed by the processor that it emulates, as far as it says."""
        self.state: str | None = None
        """What that processor did at last."""
        self.nodes = list(nodes)
        self.running: Running | None = None
        self.exchange: Exchange | None = None
        """The ADVANCE that has no answer yet."""
        self.last: Exchange | None = None
        """The last one that was answered."""
        self.phase = CONNECTING
        self.federation = federation
        self.outside = federation.outside
        self.launcher = launcher
        self._config = dict(config or {})
        self.life = life
        self._transport = transport
        self._start_timeout = start_timeout
        self._timeout = timeout
        self.recorded = recorded
        self.advice = advice
        if dialect is None and kind == "network":
            dialect = NetworkAnswers()
        self._dialect: Dialect = dialect or Answers(kind, nodes, federation.nodes, federation.hint)
        self._stdio: Pipes | None = None
        self._channel: Channel | None = None
        self._seq = 0
        self._since = 0
        self._ended_at: float | None = None
        self._over = False
        self._shut_down: ChannelError | None = None

    # -- starting

    def launch(self) -> None:
        """Start the program; it connects while others start.

        Raises:
            ParticipantError: it cannot be started.
        """
        listener = self.outside.listener
        stdio: Pipes | None = None
        over_stdio = self._transport == "stdio"
        environment = {
            "SIMCORE_ADDRESS": "stdio" if over_stdio else listener.address(self._transport),
            "SIMCORE_TOKEN": listener.expect(self.name),
            "SIMCORE_NAME": self.name,
        }
        self.outside.enter(self)
        try:
            if over_stdio:
                self._stdio, stdio = Pipes.pair()
            self.running = self.launcher.launch(environment, stdio)
        except LaunchError as error:
            self._fail("start", f"{self.name} cannot be started: {error}")
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            self._fail("start", f"{self.name} cannot be started: {TOO_MANY_FILES}")
        finally:
            if stdio is not None:
                stdio.close()

    def ready(self, now: int) -> int | None:
        """Wait until it is connected and ready; see `Participant.ready`.

        Raises:
            ParticipantError: it is not, in time or at all.
        """
        deadline = time.monotonic() + self._start_timeout
        try:
            self._channel = self._let_in()
            self.phase = READYING
            init = frames.Init(
                name=self.name,
                nodes=self.nodes,
                seed=self.federation.seed,
                time=now,
                end=self.federation.end,
                config=self._config,
                life=self.life,
            )
            self._channel.send(encode(init), self._start_timeout, self._idle)
            left = max(deadline - time.monotonic(), 0.001)
            ready = frames.decode_ready(self._channel.receive(left, MAX_LINE, self._idle))
            self.grain, following = check_ready(ready, self.kind, now)
            if surplus := self._channel.surplus:
                raise self._last_word() or unasked(surplus)
        except (ProtocolError, ChannelError, LaunchError, _Ended) as error:
            self._explain(error)
        self._since = now
        self.outside.note_ready(self)
        return following

    def _let_in(self) -> Channel:
        listener = self.outside.listener
        if self._stdio is not None:
            stdio, self._stdio = self._stdio, None
            return listener.admit(stdio, self.name, self._start_timeout, self._idle)
        return listener.accept(self.name, self._start_timeout, self._idle)

    # -- the exchange

    def begin(self, until: int, inputs: Sequence[Message]) -> None:
        """Send ADVANCE; see `Participant.begin`.

        Raises:
            ParticipantError: it does not take it.
        """
        self._seq = seq = self._seq + 1
        self.phase = READING
        now, begun = self.federation.calendar.now, time.perf_counter_ns()
        self.exchange = Exchange(seq, now, until, inputs, begun)
        channel = self._channel
        assert channel is not None
        try:
            line = self._dialect.advance(seq, until, inputs)
            channel.send(line, self._timeout, self._idle)
        except (ProtocolError, ChannelError, _Ended) as error:
            self._explain(self._last_word() or error)

    def finish(self) -> Done | NetworkDone:
        """Wait for DONE; see `Participant.finish`.

        Raises:
            ParticipantError: none comes in time, or it breaks a rule.
        """
        channel, exchange = self._channel, self.exchange
        assert channel is not None and exchange is not None
        self.phase = ANSWERING
        awaited = time.perf_counter_ns()
        try:
            line = channel.receive(self._timeout, MAX_LINE, self._idle)
            answered = time.perf_counter_ns()
            frame = self._dialect.decode(line)
            if isinstance(frame, frames.Error):
                raise given_up(frame)
            if frame.seq != exchange.seq:
                raise wrong_sequence(frame.seq, exchange.seq)
            if surplus := channel.surplus:
                raise self._last_word() or unasked(surplus)
            done = self._dialect.read(frame, self._since, exchange.until)
        except (ProtocolError, ChannelError, _Ended) as error:
            self._explain(error)
        self._since = exchange.until
        self.last, self.exchange = exchange, None
        exchange.outputs = len(done.deliveries if isinstance(done, NetworkDone) else done.outputs)
        exchange.inputs, given = (), len(exchange.inputs)
        if self.recorded:
            began = self.outside.began
            self.federation.recorder.exchange(
                (
                    self.name,
                    exchange.seq,
                    exchange.at,
                    exchange.until,
                    given,
                    exchange.outputs,
                    exchange.begun - began,
                    awaited - began,
                    answered - began,
                    frame.now,
                )
            )
        return done

    def give_up(self, id: str) -> None:
        """Note that a message's fate may come or not; see `Participant.give_up`."""
        self._dialect.give_up(id)

    def _idle(self) -> None:
        """While nothing moves: see whether there is still something to wait for."""
        self.federation.check_stop()
        running = self.running
        if running is None or not running.status().ended:
            return
        now = time.monotonic()
        if self._ended_at is None:
            self._ended_at = now  # it may have connected, or spoken, since we looked last
        elif self._channel is None and running.status().code != 0:
            raise _Ended  # who forks and lets its child connect ends with code 0
        # A grandchild may keep the connection open, and even go on speaking.
        elif now - self._ended_at >= _GRACE:
            raise _Ended

    def _last_word(self) -> ProtocolError | None:
        """The ERROR of a participant that gave up between two exchanges."""
        assert self._channel is not None
        with suppress(ProtocolError, ChannelError):
            frame = frames.decode_bye(self._channel.receive(_PARTING))
            if isinstance(frame, frames.Error):
                return given_up(frame)
        return None

    # -- the end

    def shut_down(self) -> None:
        """Send SHUTDOWN."""
        if self._over or self._channel is None:
            return
        self.phase = PARTING
        try:
            self._channel.send(encode(frames.Shutdown()), self._timeout, self._idle)
        except ChannelError as error:
            self._shut_down = error

    def close(self) -> None:
        """Wait for BYE and the end of the program.

        Raises:
            ParticipantError: it did not end in order, with code 0.
        """
        if self._over or self._channel is None:
            self.kill()
            return
        try:
            if self._shut_down is not None:
                raise self._last_word() or self._shut_down
            bye = frames.decode_bye(self._channel.receive(self._timeout, MAX_LINE, self._idle))
            if isinstance(bye, frames.Error):
                raise given_up(bye)
            if self._channel.surplus:
                raise unasked(self._channel.surplus)
        except (ProtocolError, ChannelError, _Ended) as error:
            self._explain(error)
        self.phase = ENDING
        self._channel.close()
        if self.running is not None:
            self._check_exit(self.running)
        self.kill()

    def _check_exit(self, running: Running) -> None:
        if not running.wait(self._timeout):
            self._fail(
                "exit",
                f"{self.name} said BYE and did not end within {self._timeout:g} s: "
                "it has to exit with code 0",
            )
        status = running.status()
        if status.kind != "exited" or status.code not in (0, None):
            self._fail(
                "exit",
                f"{self.name} said BYE and then {status.describe()}: it has to exit with code 0",
            )

    def kill(self) -> None:
        """End it at once, with all that it started; never raises."""
        self._over = True
        self._dialect.clear()
        self.exchange = None
        if self.running is not None:
            self.running.kill()  # before it sees that the connection closes, and talks of it
        for each in (self._channel, self._stdio):
            if each is not None:
                each.close()
        self.outside.leave(self)

    # -- what went wrong

    def _explain(self, error: Exception) -> NoReturn:
        """Raise the report of what was met while the participant was waited for."""
        running = self.running
        try:
            if running is not None:
                running.status()
        except LaunchError as failed:  # it was still being started
            self._fail("start", f"{self.name} cannot be started: {failed}")
        if isinstance(error, ProtocolError):
            if error.rule != "participant-error":
                self._tell(str(error))
            elif running is not None:
                running.wait(self._dying)  # it is to end after it has said so
            said = str(error).partition("\n")[0]
            own = error.rule == "participant-error" and self.name in said
            self._fail(error.rule, str(error) if own else f"{self.name}: {error}")
        if isinstance(error, DeadlinePassed):
            self._fail("deadline", str(error))
        if isinstance(error, LineTooLong):
            self._tell(str(error))
            self._fail("line-too-long", str(error))
        if running is not None and isinstance(error, ChannelClosed):
            # The kernel closes a dying program's connection before it can be waited for; and of
            # two pipes one before the other.
            running.wait(self._dying)
        if running is not None and running.status().ended:
            self._fail(
                "process-ended", f"{self.name} {running.describe()} before {self.phase.before}"
            )
        self._fail("connection", f"{error}, before {self.phase.before}")

    def _tell(self, text: str) -> None:
        """Tell the participant what it did wrong, if it listens."""
        if self._channel is not None:
            with suppress(ChannelError):
                self._channel.send(encode(frames.Error(text)), _PARTING)

    def _fail(self, rule: str, what: str) -> NoReturn:
        error: ParticipantError = report(self, rule, what)
        self._over = True  # nothing more is to be expected of it
        raise error from None
