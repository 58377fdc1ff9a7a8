"""A broker for tests: what each client says, and what each is then sent, in a few words."""

from __future__ import annotations

from itertools import count

from simcore_backends.mqtt.broker import Broker, Event, Lost, Opened, Received
from simcore_backends.mqtt.model import Model
from simcore_backends.mqtt.packets import (
    Connack,
    Connect,
    Packet,
    Publish,
    Suback,
    Subscribe,
    decode,
)
from simcore_backends.mqtt.settings import MOSQUITTO_2_1, Dialect, Settings

SECOND = 1_000_000_000

Said = list[Packet | None]
"""What a client is sent; None: its connection is closed."""


class Scripted:
    """A model of a broker and its clients, by name."""

    def __init__(self, settings: Settings | None = None, dialect: Dialect = MOSQUITTO_2_1) -> None:
        settings = settings or Settings()
        self.broker = Broker(Model(settings, dialect), settings)
        self.now = 0
        self._numbers = count(1)
        self._lines: dict[str, int] = {}
        self._said: dict[str, Said] = {}

    def open(self, name: str) -> None:
        """Make a connection; one of that name is forgotten, not ended."""
        self.heard(name)
        self._lines[name] = next(self._numbers)
        self._do(Opened(self._lines[name]))

    def join(self, name: str, **options: object) -> Connack:
        """Connect a client; its CONNACK."""
        self.open(name)
        client_id = options.pop("client_id", name)
        self.say(name, Connect(client_id, **options))  # type: ignore[arg-type]
        answer = self.heard(name)[0]
        assert isinstance(answer, Connack)
        return answer

    def subscribe(self, name: str, *filters: tuple[str, int]) -> Said:
        """Subscribe a client; what it is sent behind the SUBACK."""
        self.say(name, Subscribe(1, filters))
        suback, *rest = self.heard(name)
        assert suback == Suback(1, tuple(qos for _, qos in filters))
        return rest

    def say(self, name: str, *packets: Packet) -> None:
        """Have a client send packets."""
        self.send(name, b"".join(packet.encode() for packet in packets))

    def send(self, name: str, data: bytes) -> None:
        """Have a client send bytes."""
        self._do(Received(self._lines[name], data))

    def lose(self, name: str) -> None:
        """End a connection without a DISCONNECT."""
        self._do(Lost(self._lines[name]))

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + round(seconds * SECOND)
        while (due := self.broker.next) is not None and due <= until:
            self.now = due
            self._do()
        self.now = until

    def heard(self, name: str) -> Said:
        """What a client has been sent since this was asked last."""
        return self._said.pop(name, [])

    def _do(self, *events: Event) -> None:
        names = {number: name for name, number in self._lines.items()}
        for number, data in self.broker.advance(self.now, events):
            name = names.get(number, f"the old connection {number}")
            self._said.setdefault(name, []).append(None if data is None else decode(data))


def message(
    topic: str, payload: bytes = b"x", qos: int = 0, number: int = 0, **flags: bool
) -> Publish:
    """A PUBLISH."""
    return Publish(topic, payload, qos, identifier=number, **flags)
