"""A broker in Python that behaves as Mosquitto does, packet for packet.

It is for runs without a Mosquitto: the same packets to the same clients at the same instants, and
so the same digest. Where the standard leaves something open, or Mosquitto departs from it, this
follows Mosquitto; `docs/mqtt-broker.md` lists what that is.
"""

from __future__ import annotations

from .broker import Answer
from .intake import Incoming
from .packets import (
    REFUSED_IDENTIFIER,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)
from .retained import Retained
from .session import Breach, Message, Send, Session
from .settings import MOSQUITTO_2_1, Dialect, Settings
from .subscriptions import Subscriptions, split
from .topics import matches


class Model:
    """The engine of a broker that needs nothing but Python.

    Args:
        settings: what the broker is set to.
        dialect: in what versions of Mosquitto differ.
    """

    def __init__(self, settings: Settings | None = None, dialect: Dialect = MOSQUITTO_2_1) -> None:
        self._settings = settings or Settings()
        self._dialect = dialect
        self._subscriptions = Subscriptions()
        self._retained = Retained(dialect)
        self._sessions: dict[str, Session] = {}
        self._connected: dict[int, Session] = {}
        self._closed: set[int] = set()
        self._nameless = 0
        self._answers: list[Answer] = []

    # What the broker asks of its engine.

    def packet(self, connection: int, data: bytes, packet: Incoming) -> None:
        """Take a packet."""
        session = self._connected.get(connection)
        if session is None:
            if isinstance(packet, Connect) and connection not in self._closed:
                self._connect(connection, packet)
            return
        try:
            self._handle(session, packet)
        except Breach:
            self._close(session)

    def lost(self, connection: int) -> None:
        """End a connection without a DISCONNECT."""
        session = self._connected.get(connection)
        if session is not None:
            self._part(session)

    def settle(self) -> list[Answer]:
        """What has been sent since the last call."""
        answers, self._answers = self._answers, []
        self._closed.clear()
        return answers

    def close(self) -> None:
        """There is nothing to let go of."""

    # One packet each.

    def _handle(self, session: Session, packet: Incoming) -> None:
        match packet:
            case Publish():
                self._publish(session, packet)
            case Puback():
                session.outgoing.acknowledged(packet.identifier, 1)
                self._write(session)
            case Pubrec():
                session.outgoing.received(packet.identifier)
                self._send(session, Pubrel(packet.identifier))
            case Pubrel():
                if (released := session.unreleased.release(packet.identifier)) is not None:
                    self._distribute(*released)
                session.unreleased.answered()
                self._send(session, Pubcomp(packet.identifier))
            case Pubcomp():
                session.outgoing.acknowledged(packet.identifier, 2)
                self._write(session)
            case Subscribe():
                self._subscribe(session, packet)
            case Unsubscribe():
                for text in packet.filters:
                    self._subscriptions.remove(session, text)
                self._send(session, Unsuback(packet.identifier))
            case Pingreq():
                self._send(session, Pingresp())
            case Disconnect():
                session.will = None
                self._close(session)
            case Connect():
                # A second one: the connection ends, and with it the session and the will.
                session.will, session.clean = None, True
                self._close(session)

    def _connect(self, connection: int, packet: Connect) -> None:
        client_id = packet.client_id
        if not client_id:
            if not packet.clean:
                self._answer(connection, Connack(code=REFUSED_IDENTIFIER))
                self._drop(connection)
                return
            # A name that no client can have.
            self._nameless += 1
            client_id = f"\0{self._nameless}"
        found = self._sessions.get(client_id)
        session = None if found is None else self._take_over(found, packet.clean)
        present = session is not None
        if session is None:
            session = Session(client_id, packet.clean, self._settings.window, self._dialect)
            self._sessions[client_id] = session
        session.connection, session.will = connection, packet.will
        self._connected[connection] = session
        self._send(session, Connack(present))
        session.outgoing.fill()
        session.outgoing.write_all(self._sender(session))

    def _take_over(self, found: Session, clean: bool) -> Session | None:
        """End what another connection of the same client has; its session, if it goes on."""
        if not (clean or found.clean):
            if found.connection is not None:
                self._drop(found.connection)
            found.outgoing.resume()
            found.unreleased.resume()
            return found
        if clean:
            self._subscriptions.forget(found)
        # The will goes to the old connection as well, if it has subscribed to it.
        self._publish_will(found)
        found.clean = True
        if found.connection is not None:
            self._drop(found.connection)
        self._discard(found)
        return None

    def _publish(self, session: Session, packet: Publish) -> None:
        heard = not (_is_denied(packet.topic) or packet.topic.startswith("$CONTROL/"))
        if packet.qos and heard:
            if session.unreleased.known(packet):
                self._send(session, Pubrec(packet.identifier))
                return
            heard = session.unreleased.ready
        if packet.qos == 2:
            if heard:
                session.unreleased.take(packet)
            self._send(session, Pubrec(packet.identifier))
            return
        if heard:
            if packet.qos:
                session.unreleased.passed()
            self._distribute(Message(packet.topic, packet.payload, packet.qos), packet.retain)
        if packet.qos:
            session.unreleased.answered()
            self._send(session, Puback(packet.identifier))

    def _subscribe(self, session: Session, packet: Subscribe) -> None:
        for text, qos in packet.filters:
            self._subscriptions.add(session, text, qos)
            group, levels = split(text)
            if group is None or self._dialect.shared_retained:
                for message in self._retained.matching(levels):
                    session.give(message, qos, retain=True, copies=True)
        self._send(session, Suback(packet.identifier, tuple(qos for _, qos in packet.filters)))
        session.outgoing.fill()
        self._write(session)

    # What packets lead to.

    def _distribute(self, message: Message, retain: bool) -> None:
        """Give a message to all who have subscribed to it."""
        copies = self._settings.copies
        for session, qos in self._subscriptions.matching(message.topic):
            if session.give(message, qos, retain=False, copies=copies):
                self._write(session)
                if session.connection is not None:
                    session.outgoing.fill()
        if retain:
            self._retained.keep(message)

    def _publish_will(self, session: Session) -> None:
        will, session.will = session.will, None
        if will is not None and not _is_denied(will.topic):
            self._distribute(Message(will.topic, will.payload, will.qos), will.retain)

    def _close(self, session: Session) -> None:
        """End a connection from this side."""
        connection = session.connection
        assert connection is not None
        self._part(session)
        self._answers.append(Answer(connection, None))
        self._closed.add(connection)

    def _part(self, session: Session) -> None:
        """A client goes: its will is published, its session ends unless it is kept."""
        connection = session.connection
        assert connection is not None
        if self._dialect.parting_will:
            self._publish_will(session)
        del self._connected[connection]
        session.connection = None
        self._publish_will(session)
        if session.clean:
            self._discard(session)

    def _drop(self, connection: int) -> None:
        """Close a connection; nothing else happens."""
        session = self._connected.pop(connection, None)
        if session is not None:
            session.connection = None
        self._answers.append(Answer(connection, None))
        self._closed.add(connection)

    def _discard(self, session: Session) -> None:
        self._subscriptions.forget(session)
        if self._sessions.get(session.client_id) is session:
            del self._sessions[session.client_id]

    # Sending.

    def _write(self, session: Session) -> None:
        if session.connection is not None:
            session.outgoing.write(self._sender(session))

    def _send(self, session: Session, packet: Packet) -> None:
        if session.connection is not None:
            self._answer(session.connection, packet)

    def _sender(self, session: Session) -> Send:
        connection = session.connection
        assert connection is not None
        return lambda packet: self._answer(connection, packet)

    def _answer(self, connection: int, packet: Packet) -> None:
        self._answers.append(Answer(connection, packet.encode()))


def _is_denied(topic: str) -> bool:
    """Whether no client may write to a topic; Mosquitto acknowledges it all the same."""
    if topic.startswith("$SYS"):
        return not matches("$SYS/broker/connection/+/state", topic)
    return topic.startswith("$share")
