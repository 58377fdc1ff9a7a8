"""One life of a Mosquitto that takes part in a run: its program, and the broker on virtual time.

The program speaks MQTT and knows nothing of simcore. What simcore's protocol does for others, the
service `mqtt_broker` does here, in simcore's own process: it is the same whoever makes the
broker's answers, the model or this Mosquitto.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from simcore.failure import ANSWERING, CONNECTING, ENDING, Exchange
from simcore.launch import LaunchError
from simcore.message import Message
from simcore.protocol.service import Done
from simcore.remote import Remote

from ..mqtt.errors import BrokerError
from ..mqtt.mosquitto import Mosquitto
from .program import Home

if TYPE_CHECKING:
    from simcore.federation import Federation
    from simcore.participant import Advancing
    from simcore.programs import Launcher

_PAUSE = 0.005
"""Seconds between two looks whether it listens."""


class MosquittoParticipant(Remote):
    """A Mosquitto and what advances it.

    Args:
        federation: the run.
        name: of its node.
        launcher: starts the program.
        home: where it listens.
        service: makes the broker on virtual time, once there is a Mosquitto to ask.
        life: number of this life, from 1.
        start_timeout: seconds of wall time until it must listen.
        timeout: seconds of wall time that it may take to answer, and to end.
    """

    def __init__(
        self,
        federation: Federation,
        name: str,
        launcher: Launcher,
        home: Home,
        service: Callable[[Mosquitto], Advancing],
        *,
        life: int,
        start_timeout: float,
        timeout: float,
    ) -> None:
        super().__init__(
            federation, name, [name], launcher,
            life=life, start_timeout=start_timeout, timeout=timeout,
        )  # fmt: skip
        self._home = home
        self._service = service
        self._patience = start_timeout
        self._engine: Mosquitto | None = None
        self._broker: Advancing | None = None
        self._inputs: Sequence[Message] = ()
        self._count = 0

    def launch(self) -> None:
        """Start the program."""
        self.outside.enter(self)
        try:
            self.running = self.launcher.launch({}, None)
        except LaunchError as error:
            self._fail("start", f"{self.name} cannot be started: {error}")

    def ready(self, now: int) -> int | None:
        """Wait until Mosquitto listens; the broker is advanced at once.

        Raises:
            ParticipantError: it does not, in time or at all.
        """
        self.phase = CONNECTING
        deadline = time.monotonic() + self._patience
        while not self._listens():
            self.federation.check_stop()
            self._look(time.monotonic() > deadline)
            time.sleep(_PAUSE)
        try:
            self._engine = Mosquitto(str(self._home.socket), patience=self._timeout)
        except BrokerError as error:
            self._fail("broker", f"{self.name}: {error}")
        self._broker = self._service(self._engine)
        self.outside.note_ready(self)
        return now

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
                self._fail("process-ended", f"{self.name} {running.describe()} before it listened")
        except LaunchError as error:
            self._fail("start", f"{self.name} cannot be started: {error}")
        if late:
            self._fail("deadline", f"{self.name} did not listen within {self._patience:g} s")

    def begin(self, until: int, inputs: Sequence[Message]) -> None:
        """Note what is asked for; see `Participant.begin`."""
        self._inputs = inputs
        self._count += 1
        now = self.federation.calendar.now
        self.exchange = Exchange(self._count, now, until, inputs, time.perf_counter_ns())

    def finish(self) -> Done:
        """Have Mosquitto do it; see `Participant.finish`.

        Raises:
            ParticipantError: it has died, hangs, or talks nonsense.
        """
        exchange, broker = self.exchange, self._broker
        assert exchange is not None and broker is not None
        self.phase = ANSWERING
        awaited = time.perf_counter_ns()
        inputs, self._inputs = self._inputs, ()
        try:
            done = broker.advance(exchange.until, inputs)
        except BrokerError as error:
            running = self.running
            assert running is not None
            running.wait(0.2)  # the kernel closes its connections before it can be waited for
            ended = running.status().ended
            what = f"{self.name} {running.describe()} before it answered" if ended else str(error)
            self._fail("process-ended" if ended else "broker", what)
        self.last, self.exchange = exchange, None
        exchange.outputs, exchange.inputs = len(done.outputs), ()
        self._note(exchange, len(inputs), awaited)
        return done

    def _note(self, exchange: Exchange, given: int, awaited: int) -> None:
        began = self.outside.began
        row: tuple[Any, ...] = (
            self.name, exchange.seq, exchange.at, exchange.until, given, exchange.outputs,
            exchange.begun - began, awaited - began, time.perf_counter_ns() - began,
            exchange.until,
        )  # fmt: skip
        self.federation.recorder.exchange(row)

    def shut_down(self) -> None:
        """Nothing is to be said before the end."""

    def close(self) -> None:
        """End the program.

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
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        super().kill()
