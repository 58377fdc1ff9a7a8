"""One life of a Mosquitto that takes part in a run: its program, and the broker on virtual time.

The program speaks MQTT and knows nothing of simcore. What simcore's protocol does for others, the
service `mqtt_broker` does here, in simcore's own process: it is the same whoever makes the
broker's answers, the model or this Mosquitto.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from simcore.failure import ANSWERING, ENDING, Exchange, Phase
from simcore.launch import LaunchError
from simcore.message import Message
from simcore.participant import InProcess
from simcore.protocol.service import Done
from simcore.remote import Remote

from ..mqtt.errors import BrokerError, Unanswered
from ..mqtt.mosquitto import Mosquitto
from .program import Home, said_version

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.participant import Advancing
    from simcore.programs import Launcher

LISTENING = Phase("to listen", "it listened")
_PAUSE = 0.005
"""Seconds between two looks whether it listens."""
_ENGINE_KNOWS = 10.0
"""Seconds after which the Docker Engine knows of the end of a container, on a busy machine."""


class MosquittoParticipant(Remote):
    """A Mosquitto and what advances it.

    Args:
        federation: the run.
        name: of its node.
        launcher: starts the program.
        home: where it listens.
        service: makes the broker on virtual time, once there is a Mosquitto to ask.
        judge: is told the version of Mosquitto; says what is wrong with it, if anything is.
        advice: what its user may do when it fails; see `Remote`.
        life: number of this life, from 1.
        start_timeout: seconds of wall time until it must listen.
        timeout: seconds of wall time that it may take to answer.
    """

    def __init__(
        self,
        federation: Federation,
        name: str,
        launcher: Launcher,
        home: Home,
        service: Callable[[Mosquitto], Advancing],
        judge: Callable[[str], str | None],
        *,
        advice: Callable[[Phase, str], str | None],
        life: int,
        start_timeout: float,
        timeout: float,
    ) -> None:
        super().__init__(
            federation, name, [name], launcher,
            advice=advice, life=life, start_timeout=start_timeout, timeout=timeout,
        )  # fmt: skip
        self._home = home
        self._judge = judge
        self._engine: Mosquitto | None = None
        self._broker = InProcess(name, lambda: service(self._connected()))
        self._inputs: Sequence[Message] = ()

    # -- starting

    def launch(self) -> None:
        """Start the program; it comes to listen while others start.

        Raises:
            ParticipantError: it cannot be started.
        """
        self.phase = LISTENING
        self.outside.enter(self)
        try:
            self.running = self.launcher.launch({}, None)
        except LaunchError as error:
            self._fail("start", f"{self.name} cannot be started: {error}")

    def ready(self, now: int) -> int | None:
        """Wait until Mosquitto listens, and connect to it; see `Participant.ready`.

        Raises:
            ParticipantError: it does not listen, in time or at all, or is not the one wanted.
        """
        deadline = time.monotonic() + self._start_timeout
        version = None
        while version is None or not self._listens():
            self.federation.check_stop()
            self._look(time.monotonic() > deadline)
            time.sleep(_PAUSE)
            version = version or said_version(self.outside.log_of(self.name))
        wrong = self._judge(version) if self.life == 1 else None
        if wrong is not None:
            self._fail("version", f"{self.name} {wrong}")
        try:
            self._engine = Mosquitto(
                str(self._home.socket), patience=self._timeout, idle=self.federation.check_stop
            )
        except BrokerError as error:
            self._explain(error)
        self.outside.note_ready(self)
        return self._broker.ready(now)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(str(self._home.socket))
            except OSError:
                return False
        return True

    def _look(self, late: bool) -> None:
        """Fail if there is nothing to wait for any more."""
        running = self.running
        assert running is not None
        try:
            if running.status().ended:
                what = f"{self.name} {running.describe()} before {self.phase.before}"
                self._fail("process-ended", what)
        except LaunchError as error:
            self._fail("start", f"{self.name} cannot be started: {error}")
        if late:
            self._fail("deadline", f"{self.name} did not listen within {self._start_timeout:g} s")

    def _connected(self) -> Mosquitto:
        assert self._engine is not None
        return self._engine

    # -- the exchange

    def begin(self, until: int, inputs: Sequence[Message]) -> None:
        """Note what is asked for; see `Participant.begin`."""
        self._seq += 1
        now = self.federation.calendar.now
        self.exchange = Exchange(self._seq, now, until, inputs, time.perf_counter_ns())
        self._broker.begin(until, inputs)

    def finish(self) -> Done:
        """Have Mosquitto do it; see `Participant.finish`.

        Raises:
            ParticipantError: it has died, hangs, or talks nonsense.
        """
        exchange = self.exchange
        assert exchange is not None
        self.phase = ANSWERING
        awaited = time.perf_counter_ns()
        try:
            done = self._broker.finish()
        except BrokerError as error:
            self._explain(error)
        self.last, self.exchange = exchange, None
        given, exchange.outputs, exchange.inputs = len(exchange.inputs), len(done.outputs), ()
        began = self.outside.began
        row: tuple[Any, ...] = (
            self.name, exchange.seq, exchange.at, exchange.until, given, exchange.outputs,
            exchange.begun - began, awaited - began, time.perf_counter_ns() - began,
            exchange.until,
        )  # fmt: skip
        self.federation.recorder.exchange(row)
        return done

    def _explain(self, error: Exception) -> NoReturn:
        """Raise the report of what was met while Mosquitto was waited for."""
        running = self.running
        assert running is not None
        if isinstance(error, Unanswered):
            self._fail("deadline", f"{self.name} did not answer within {self._timeout:g} s")
        # The kernel closes a dying program's connections before it can be waited for.
        running.wait(self._dying if running.pid is not None else _ENGINE_KNOWS)
        if running.status().ended:
            what = f"{self.name} {running.describe()} before {self.phase.before}"
            self._fail("process-ended", what)
        self._fail("broker", f"{self.name}: {error}")

    # -- the end

    def shut_down(self) -> None:
        """Nothing is to be said before the end."""

    def close(self) -> None:
        """End the program; nothing of it is to be kept.

        Raises:
            ParticipantError: it had ended before.
        """
        running = self.running
        if not self._over and running is not None and running.status().ended:
            self.phase = ENDING
            self._fail("process-ended", f"{self.name} {running.describe()} before the run ended")
        self.kill()

    def kill(self) -> None:
        """End it at once; never raises."""
        super().kill()  # before it sees that connections close, and talks of it
        if self._engine is not None:
            self._engine.close()
            self._engine = None
