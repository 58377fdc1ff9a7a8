"""Which message led to which packet of a broker's, told from what came in and what went out."""

from __future__ import annotations

from simcore_backends.mqtt import packets
from simcore_backends.mqtt.attribution import Attribution
from simcore_backends.mqtt.broker import Broker, Lost, Opened, Received
from simcore_backends.mqtt.model import Model

SECOND = 10**9


class World:
    """The model and its attribution; causes are texts that say what came in."""

    def __init__(self):
        self.broker = Broker(Model())
        self.attribution = Attribution()
        self.now = 0

    def instant(self, *events):
        """What goes out, as (connection, type of packet or None, cause)."""
        self.now += 1
        found = []
        for connection, what, cause in events:
            if what == "open":
                found.append(Opened(connection))
            elif what == "lost":
                self.attribution.ended(connection, cause)
                found.append(Lost(connection))
            else:
                data = what if isinstance(what, bytes) else what.encode()
                self.attribution.received(connection, data, cause)
                found.append(Received(connection, data))
        return self.tell(found)

    def tell(self, events):
        answers = self.broker.advance(self.now, events)
        causes = self.attribution.causes(answers)
        return [
            (a.connection, a.packet and type(packets.decode(a.packet)).__name__.lower(), cause)
            for a, cause in zip(answers, causes, strict=True)
        ]

    def client(self, connection, name=None, *filters, **keys):
        self.instant(
            (connection, "open", None),
            (connection, packets.Connect(name or str(connection), **keys), "connect"),
        )
        if filters:
            self.instant((connection, packets.Subscribe(1, tuple(filters)), "subscribe"))
        return self


def publish(topic="t", payload=b"x", qos=0, identifier=0, **keys):
    return packets.Publish(topic, payload, qos, identifier=identifier, **keys)


def test_acknowledgements_come_from_what_they_acknowledge():
    world = World().client(1)
    assert world.instant((2, "open", None), (2, packets.Connect("2"), "c")) == [(2, "connack", "c")]
    found = world.instant(
        (1, publish(qos=1, identifier=7), "first"),
        (1, publish(qos=1, identifier=8), "second"),
        (1, packets.Subscribe(9, (("a", 0),)), "third"),
        (1, packets.Unsubscribe(10, ("a",)), "fourth"),
        (1, publish(qos=2, identifier=11), "fifth"),
        (1, packets.Pingreq(), "sixth"),
    )
    assert found == [
        (1, "puback", "first"),
        (1, "puback", "second"),
        (1, "suback", "third"),
        (1, "unsuback", "fourth"),
        (1, "pubrec", "fifth"),
        (1, "pingresp", "sixth"),
    ]
    assert world.instant((1, packets.Pubrel(11), "rel")) == [(1, "pubcomp", "rel")]


def test_a_message_comes_from_the_one_with_its_topic_and_content():
    world = World().client(1).client(2).client(3, "3", ("#", 0))
    found = world.instant(
        (1, publish("a", b"1"), "a1"),
        (2, publish("a", b"2"), "a2"),
        (1, publish("b", b"1"), "b1"),
    )
    assert found == [(3, "publish", "a1"), (3, "publish", "a2"), (3, "publish", "b1")]
    twice = world.instant((1, publish("a", b"1"), "one"), (2, publish("a", b"1"), "two"))
    assert twice == [(3, "publish", "one"), (3, "publish", "two")]


def test_a_message_with_qos_2_comes_from_its_pubrel():
    world = World().client(1).client(2, "2", ("#", 2))
    assert world.instant((1, publish(qos=2, identifier=5), "pub")) == [(1, "pubrec", "pub")]
    found = world.instant((1, packets.Pubrel(5), "rel"))
    assert found == [(1, "pubcomp", "rel"), (2, "publish", "rel")]
    assert world.instant((2, packets.Pubrec(1), "rec")) == [(2, "pubrel", "rec")]


def test_a_retained_message_comes_from_the_subscription():
    world = World().client(1).client(2)
    world.instant((1, publish(retain=True), "kept"))
    found = world.instant(
        (2, packets.Subscribe(1, (("other", 0),)), "vain"),
        (2, packets.Subscribe(2, (("+", 0),)), "sub"),
    )
    assert found == [(2, "suback", "vain"), (2, "suback", "sub"), (2, "publish", "sub")]


def test_a_message_that_waited_comes_from_what_let_it_go():
    world = World().client(1).client(2, "two", ("#", 1), clean=False)
    found = world.instant(
        *((1, publish(str(i), qos=1, identifier=i), f"p{i}") for i in range(1, 23))
    )
    assert [each for each in found if each[0] == 2] == [
        (2, "publish", f"p{i}") for i in range(1, 21)
    ]
    assert world.instant((2, packets.Puback(1), "ack")) == [(2, "publish", "ack")]
    world.instant((2, "lost", "fin"))
    found = world.instant((3, "open", None), (3, packets.Connect("two", clean=False), "again"))
    assert found == [(3, "connack", "again"), *[(3, "publish", "again")] * 20]


def test_a_will_comes_from_what_ended_the_connection():
    will = packets.Will("gone", b"bye")
    world = World().client(1, "1", ("gone", 0)).client(2, "two", will=will)
    assert world.instant((2, "lost", "rst")) == [(1, "publish", "rst")]
    world.client(3, "two", will=will)
    found = world.instant((4, "open", None), (4, packets.Connect("two", will=will), "other"))
    assert found == [(1, "publish", "other"), (3, None, "other"), (4, "connack", "other")]
    found = world.instant((4, b"\xf0\x00", "nonsense"))
    assert found == [(1, "publish", "nonsense"), (4, None, "nonsense")]


def test_the_will_of_a_silent_client_comes_from_nothing():
    will = packets.Will("gone", b"bye")
    world = World().client(1, "1", ("gone", 0)).client(2, "two", will=will, keepalive=10)
    assert world.broker.next is not None
    world.now = world.broker.next
    assert world.tell([]) == [(1, "publish", None), (2, None, None)]


def test_an_instant_forgets_the_one_before():
    world = World().client(1).client(2, "2", ("#", 0))
    world.instant((1, publish("a"), "first"))
    assert world.instant((1, publish("b"), "second")) == [(2, "publish", "second")]


def test_packets_in_pieces_are_understood():
    world = World().client(1).client(2, "2", ("#", 0))
    data = publish("a").encode()
    assert world.instant((1, data[:3], "head")) == []
    assert world.instant((1, data[3:], "tail")) == [(2, "publish", "tail")]


def test_leaving_in_order_is_answered_with_the_end():
    world = World().client(1, will=packets.Will("gone"))
    assert world.instant((1, packets.Disconnect(), "bye")) == [(1, None, "bye")]
