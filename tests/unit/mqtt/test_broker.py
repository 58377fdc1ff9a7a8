"""A broker by the clauses of the standard: each test names those that it is about.

What is tested here of the model holds of Mosquitto, too: `test_mqtt_equality` compares them.
"""

from __future__ import annotations

import pytest
from scripted_clients import SECOND, Scripted, message
from simcore_backends.mqtt.broker import Broker, Lost, Opened, Received
from simcore_backends.mqtt.model import Model
from simcore_backends.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from simcore_backends.mqtt.settings import (
    MOSQUITTO_2_0_11,
    MOSQUITTO_2_0_21,
    MOSQUITTO_2_1,
    Dialect,
    Settings,
    configuration,
    dialect_of,
)


@pytest.fixture
def world() -> Scripted:
    return Scripted()


class TestConnecting:
    def test_first_packet_is_a_connect(self, world: Scripted) -> None:
        """MQTT-3.1.0-1."""
        world.open("ada")
        world.say("ada", Pingreq())
        assert world.heard("ada") == [None]

    def test_second_connect_ends_it(self, world: Scripted) -> None:
        """MQTT-3.1.0-2. Mosquitto forgets the will and the session, too."""
        world.join("bob")
        world.subscribe("bob", ("will", 0))
        world.join("ada", clean=False, will=Will("will"))
        world.say("ada", Connect("ada", clean=False))
        assert world.heard("ada") == [None]
        assert world.heard("bob") == []
        assert world.join("ada", clean=False) == Connack(session_present=False)

    def test_other_version(self, world: Scripted) -> None:
        """MQTT-3.1.2-2: return code 1, then the connection is closed."""
        world.open("ada")
        world.send("ada", Connect("ada").encode().replace(b"MQTT\x04", b"MQTT\x05"))
        assert world.heard("ada") == [Connack(code=1), None]

    def test_other_protocol(self, world: Scripted) -> None:
        """MQTT-3.1.2-1."""
        world.open("ada")
        world.send("ada", Connect("ada").encode().replace(b"MQTT", b"SPDY"))
        assert world.heard("ada") == [None]

    def test_no_client_id(self, world: Scripted) -> None:
        """MQTT-3.1.3-6 to -9: it is given one for a clean session, else it is refused."""
        assert world.join("a", client_id="") == Connack()
        assert world.join("b", client_id="") == Connack()
        assert world.heard("the old connection 1") == []
        assert world.join("c", client_id="", clean=False) == Connack(code=2)

    def test_same_client_id(self, world: Scripted) -> None:
        """MQTT-3.1.4-2."""
        world.join("old", client_id="ada")
        assert world.join("new", client_id="ada") == Connack()
        assert world.heard("old") == [None]

    def test_will_of_the_one_who_is_replaced(self, world: Scripted) -> None:
        """Mosquitto publishes it if the session ends, and not if the newer connection has it."""
        world.join("bob")
        world.subscribe("bob", ("will", 0))
        for clean, published in ((True, [message("will", b"")]), (False, [])):
            world.join("old", client_id="ada", clean=clean, will=Will("will"))
            world.join("new", client_id="ada", clean=clean)
            assert world.heard("bob") == published

    def test_disconnect(self, world: Scripted) -> None:
        """MQTT-3.14.4-3: no will; the broker closes the connection."""
        world.join("bob")
        world.subscribe("bob", ("will", 0))
        world.join("ada", will=Will("will"))
        world.say("ada", Disconnect(), message("will"))
        assert world.heard("ada") == [None]
        assert world.heard("bob") == []

    def test_ping(self, world: Scripted) -> None:
        """MQTT-3.12.4-1."""
        world.join("ada")
        world.say("ada", Pingreq(), Pingreq())
        assert world.heard("ada") == [Pingresp(), Pingresp()]


class TestKeepalive:
    def test_silence_of_one_and_a_half_keepalives(self, world: Scripted) -> None:
        """MQTT-3.1.2-24: to the nanosecond; the will is published."""
        world.join("bob")
        world.subscribe("bob", ("will", 0))
        world.join("ada", keepalive=10, will=Will("will"))
        world.wait(14)
        world.say("ada", Pingreq())
        assert world.broker.next == 29 * SECOND
        world.wait(14.999_999_999)
        assert world.heard("ada") == [Pingresp()]
        world.wait(0.000_000_001)
        assert world.heard("ada") == [None]
        assert world.heard("bob") == [message("will", b"")]

    def test_what_arrives_at_that_instant_is_in_time(self, world: Scripted) -> None:
        world.join("ada", keepalive=2)
        world.now = 3 * SECOND
        world.say("ada", Pingreq())
        assert world.heard("ada") == [Pingresp()]
        assert world.broker.next == 6 * SECOND

    def test_no_keepalive(self, world: Scripted) -> None:
        """3.1.2.10: 0 turns it off."""
        world.join("ada")
        assert world.broker.next is None

    def test_no_connect(self, world: Scripted) -> None:
        """3.1.4: who says nothing is sent away after as long as Mosquitto waits."""
        world.open("ada")
        world.wait(90)
        assert world.heard("ada") == [None]
        assert world.broker.next is None

    def test_many_end_in_their_order(self) -> None:
        broker = Broker(Model())
        for number, keepalive in enumerate([30, 10, 20, 10]):
            packet = Connect(f"c{number}", keepalive=keepalive).encode()
            broker.advance(0, [Opened(number), Received(number, packet)])
        found = []
        while (due := broker.next) is not None:
            found.append((due // SECOND, [answer.connection for answer in broker.advance(due, [])]))
        assert found == [(15, [1, 3]), (30, [2]), (45, [0])]

    def test_time_runs_forward_and_past_nothing(self) -> None:
        broker = Broker(Model())
        broker.advance(5, [Opened(1), Received(1, Connect("ada", keepalive=1).encode())])
        for now in (4, 2 * SECOND):
            with pytest.raises(ValueError, match=f"is called at {now} ns"):
                broker.advance(now, [])


class TestPublishing:
    def test_qos_is_the_lesser_of_two(self, world: Scripted) -> None:
        """3.8.4: QoS of the message or of the subscription; 4.3 for each."""
        for granted in (0, 1, 2):
            world.join(f"sub{granted}")
            world.subscribe(f"sub{granted}", ("a", granted))
        world.join("pub")
        for qos in (0, 1, 2):
            world.say("pub", message("a", b"%d" % qos, qos, number=qos and 7))
            if qos == 2:
                world.say("pub", Pubrel(7))
        assert world.heard("pub") == [Puback(7), Pubrec(7), Pubcomp(7)]
        assert world.heard("sub0") == [message("a", b"%d" % qos) for qos in (0, 1, 2)]
        assert world.heard("sub1") == [
            message("a", b"0"),
            message("a", b"1", 1, number=1),
            message("a", b"2", 1, number=2),
        ]
        assert world.heard("sub2") == [
            message("a", b"0"),
            message("a", b"1", 1, number=1),
            message("a", b"2", 2, number=2),
        ]

    def test_qos_2_is_passed_on_once(self, world: Scripted) -> None:
        """MQTT-4.3.3-2: when it is released; a copy with the same identifier is not another one."""
        world.join("sub")
        world.subscribe("sub", ("a", 0))
        world.join("pub")
        world.say("pub", message("a", qos=2, number=1), message("a", qos=2, number=1, dup=True))
        assert world.heard("pub") == [Pubrec(1), Pubrec(1)]
        assert world.heard("sub") == []
        world.say("pub", Pubrel(1), Pubrel(1))
        assert world.heard("pub") == [Pubcomp(1), Pubcomp(1)]
        assert world.heard("sub") == [message("a")]

    def test_same_identifier_and_another_message(self, world: Scripted) -> None:
        """MQTT-2.3.1-2 is broken; Mosquitto takes the newer one."""
        world.join("sub")
        world.subscribe("sub", ("a", 0))
        world.join("pub")
        world.say("pub", message("a", b"1", 2, 1), message("a", b"2", 2, 1), Pubrel(1))
        assert world.heard("sub") == [message("a", b"2")]

    def test_same_message_three_times(self, world: Scripted) -> None:
        """Mosquitto ends the connection."""
        world.join("pub")
        world.say("pub", *[message("a", qos=2, number=1)] * 3)
        assert world.heard("pub") == [Pubrec(1), Pubrec(1), None]

    def test_acknowledgements_that_do_not_fit(self, world: Scripted) -> None:
        """4.3: a PUBACK for QoS 2, a PUBCOMP before the PUBREC, a PUBREC for QoS 1."""
        for name, qos, answer in (("a", 2, Puback(1)), ("b", 2, Pubcomp(1)), ("c", 1, Pubrec(1))):
            world.join(name)
            world.subscribe(name, (name, 2))
            world.say(name, message(name, qos=qos, number=9), Pubrel(9))
            world.heard(name)
            world.say(name, answer)
            assert world.heard(name) == [None]

    def test_unknown_acknowledgements(self, world: Scripted) -> None:
        world.join("ada")
        world.say("ada", Puback(7), Pubcomp(7), Pubrec(7), Pubrel(7))
        assert world.heard("ada") == [Pubrel(7), Pubcomp(7)]

    def test_window(self) -> None:
        """4.4, 4.6: no more than the window holds is unanswered, and the order stays."""
        world = Scripted(Settings(window=2))
        world.join("ada")
        world.subscribe("ada", ("a", 1))
        world.join("pub")
        for number in range(1, 5):
            world.say("pub", message("a", b"%d" % number, 1, number))
        assert world.heard("ada") == [message("a", b"%d" % n, 1, n) for n in (1, 2)]
        world.say("ada", Puback(1))
        assert world.heard("ada") == [message("a", b"3", 1, 3)]
        world.say("ada", Puback(3), Puback(2))
        assert world.heard("ada") == [message("a", b"4", 1, 4)]

    def test_window_of_mosquitto_2_0_11(self) -> None:
        """An acknowledgement lets go what came before it, and more than that."""
        world = Scripted(Settings(window=2), MOSQUITTO_2_0_11)
        world.join("ada")
        world.subscribe("ada", ("a", 1))
        world.join("pub")
        for number in range(1, 6):
            world.say("pub", message("a", b"%d" % number, 1, number))
        world.heard("ada")
        world.say("ada", Puback(1))
        assert world.heard("ada") == [message("a", b"%d" % n, 1, n) for n in (3, 4)]

    def test_acknowledged_before_it_was_sent(self) -> None:
        """What waits behind the window: since 2.1 that counts, or breaks the protocol."""
        for dialect, left in ((MOSQUITTO_2_0_21, [2, 3]), (MOSQUITTO_2_1, [3])):
            world = Scripted(Settings(window=1), dialect)
            world.join("ada")
            world.subscribe("ada", ("a", 2))
            for number in (1, 2, 3):
                world.say("ada", message("a", qos=1, number=number))
            world.heard("ada")
            world.say("ada", Puback(2), Puback(1))
            found = world.heard("ada")
            assert found[:1] == [message("a", qos=1, number=left[0])]
        world.say("ada", message("a", qos=1, number=4), Pubcomp(4))
        assert world.heard("ada")[-1] is None

    def test_more_with_qos_2_than_the_window(self) -> None:
        """Mosquitto acknowledges them, and does not pass them on."""
        world = Scripted(Settings(window=1))
        world.join("ada")
        world.subscribe("ada", ("a", 0))
        world.say("ada", message("a", b"1", 2, 1), message("a", b"2", 2, 2), Pubrel(1), Pubrel(2))
        assert world.heard("ada") == [
            Pubrec(1), Pubrec(2), message("a", b"1"), Pubcomp(1), Pubcomp(2),
        ]  # fmt: skip

    def test_topics_of_the_broker(self, world: Scripted) -> None:
        """4.7.2: what clients write to them is acknowledged, and goes nowhere."""
        world.join("ada")
        world.subscribe("ada", ("$SYS/#", 0), ("$CONTROL/#", 0))
        for topic in ("$SYS/x", "$SYSTEM", "$CONTROL/x", "$share/g/x"):
            world.say("ada", message(topic, qos=1, number=1), message(topic, qos=2, number=2))
            assert world.heard("ada") == [Puback(1), Pubrec(2)]
        state = "$SYS/broker/connection/x/state"
        world.say("ada", message(state))
        assert world.heard("ada") == [message(state)]


class TestSubscribing:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("sport/tennis/player1/#", ["sport/tennis/player1", "sport/tennis/player1/ranking"]),
            ("sport/#", ["sport", "sport/tennis/player1", "sport/tennis/player1/ranking"]),
            ("#", ["sport", "sport/tennis/player1", "sport/tennis/player1/ranking", "/finance"]),
            ("sport/+", []),
            ("sport/tennis/+", ["sport/tennis/player1"]),
            ("+/+", ["/finance"]),
            ("/+", ["/finance"]),
            ("+", ["sport"]),
            ("+/monitor/Clients", []),
            ("$SYS/#", ["$SYS/broker/connection/x/state"]),
            ("$SYS/+/connection/x/state", ["$SYS/broker/connection/x/state"]),
        ],
    )
    def test_wildcards(self, world: Scripted, text: str, found: list[str]) -> None:
        """4.7.1 and 4.7.2, with the examples of the standard; live and retained."""
        topics = ["sport", "sport/tennis/player1", "sport/tennis/player1/ranking", "/finance", "$SYS/broker/connection/x/state"]  # fmt: skip
        world.join("pub")
        world.join("early")
        world.subscribe("early", (text, 0))
        for topic in topics:
            world.say("pub", message(topic, retain=True))
        assert world.heard("early") == [message(topic) for topic in found]
        world.join("late")
        retained = world.subscribe("late", (text, 0))
        key = str
        assert sorted(retained, key=key) == sorted(
            (message(each, retain=True) for each in found), key=key
        )

    def test_again(self, world: Scripted) -> None:
        """MQTT-3.8.4-3: it replaces the old one; retained messages are sent again."""
        world.join("ada")
        world.say("ada", message("a", retain=True, qos=1, number=1))
        world.heard("ada")
        assert world.subscribe("ada", ("a", 0)) == [message("a", retain=True)]
        assert world.subscribe("ada", ("a", 1)) == [message("a", qos=1, number=1, retain=True)]
        world.say("ada", message("a", b"new", 1, 2))
        assert world.heard("ada") == [message("a", b"new", 1, 2), Puback(2)]

    def test_unsubscribe(self, world: Scripted) -> None:
        """MQTT-3.10.4-1 to -5: compared character by character, and always answered."""
        world.join("ada")
        world.subscribe("ada", ("a/+", 0))
        for text, kept in (("a/b", True), ("a/+", False), ("a/+", False)):
            world.say("ada", Unsubscribe(5, (text,)), message("a/b"))
            assert world.heard("ada") == [Unsuback(5)] + [message("a/b")] * kept

    def test_overlapping(self, world: Scripted) -> None:
        """MQTT-3.3.5-1: Mosquitto sends it once, with the QoS of the filter it finds first."""
        world.join("ada")
        world.subscribe("ada", ("#", 2), ("a/b", 0), ("a/+", 1))
        world.say("ada", message("a/b", qos=1, number=1))
        assert world.heard("ada") == [message("a/b"), Puback(1)]

    def test_overlapping_with_copies(self) -> None:
        world = Scripted(Settings(copies=True))
        world.join("ada")
        world.subscribe("ada", ("#", 2), ("a/b", 0), ("a/+", 1))
        world.say("ada", message("a/b", qos=1, number=1))
        assert world.heard("ada") == [
            message("a/b"),
            message("a/b", qos=1, number=1),
            message("a/b", qos=1, number=2),
            Puback(1),
        ]

    def test_shared(self, world: Scripted) -> None:
        """MQTT 5's shared subscriptions, which Mosquitto offers to all: members take turns."""
        for name in ("a", "b"):
            world.join(name)
            world.subscribe(name, ("$share/g/t/#", 0))
        world.join("pub")
        for number in range(3):
            world.say("pub", message("t/x", b"%d" % number))
        assert world.heard("a") == [message("t/x", b"0"), message("t/x", b"2")]
        assert world.heard("b") == [message("t/x", b"1")]
        world.say("a", Unsubscribe(1, ("$share/g/t/#",)))
        world.say("pub", message("t/x", b"3"), message("t/x", b"4"))
        assert world.heard("b") == [message("t/x", b"3"), message("t/x", b"4")]

    def test_suback_comes_first(self, world: Scripted) -> None:
        """MQTT-3.8.4-2; retained messages of all its filters follow."""
        world.join("ada")
        world.say("ada", message("a", retain=True), message("b", retain=True))
        world.say("ada", Subscribe(9, (("b", 0), ("a", 2), ("c", 1))))
        assert world.heard("ada") == [
            Suback(9, (0, 2, 1)), message("b", retain=True), message("a", retain=True),
        ]  # fmt: skip


class TestRetained:
    def test_last_one_is_kept(self, world: Scripted) -> None:
        """MQTT-3.3.1-5 to -12: kept, replaced, deleted; RETAIN is set for new subscribers only."""
        world.join("ada")
        world.subscribe("ada", ("a", 0))
        world.join("pub")
        for payload in (b"1", b"2", b""):
            world.say("pub", message("a", payload, retain=True))
            assert world.heard("ada") == [message("a", payload)]
            kept = [message("a", payload, retain=True)] if payload else []
            world.join("late")
            assert world.subscribe("late", ("a", 0)) == kept

    def test_others_leave_it_alone(self, world: Scripted) -> None:
        """MQTT-3.3.1-12."""
        world.join("ada")
        world.say("ada", message("a", b"kept", retain=True), message("a", b"passing"))
        assert world.subscribe("ada", ("a", 0)) == [message("a", b"kept", retain=True)]

    def test_of_qos_2_is_kept_when_released(self, world: Scripted) -> None:
        world.join("ada")
        world.say("ada", message("a", qos=2, number=1, retain=True))
        world.heard("ada")
        assert world.subscribe("ada", ("a", 2)) == []
        world.say("ada", Pubrel(1))
        world.heard("ada")
        assert world.subscribe("ada", ("a", 2)) == [message("a", qos=2, number=2, retain=True)]

    def test_order(self) -> None:
        """That in which their topics came first; what was deleted is last, since 2.0.16."""
        for dialect, order in ((MOSQUITTO_2_0_11, "bca"), (MOSQUITTO_2_0_21, "cab")):
            world = Scripted(dialect=dialect)
            world.join("ada")
            for topic in ("b", "c", "a"):
                world.say("ada", message(topic, retain=True))
            world.say("ada", message("c", b"new", retain=True))
            world.say("ada", message("b", b"", retain=True), message("b", retain=True))
            found = world.subscribe("ada", ("+", 0))
            assert (
                "".join(each.topic for each in found if isinstance(each, type(message("a"))))
                == order
            )


class TestWills:
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_published_as_asked(self, world: Scripted, qos: int) -> None:
        """MQTT-3.1.2-8, -14, -17: when the network breaks; with its QoS; retained."""
        world.join("bob")
        world.subscribe("bob", ("will", 2))
        world.join("ada", will=Will("will", b"bye", qos, retain=True))
        world.lose("ada")
        assert world.heard("bob") == [message("will", b"bye", qos, number=qos and 1)]
        world.join("late")
        assert world.subscribe("late", ("will", 0)) == [message("will", b"bye", retain=True)]

    def test_of_who_breaks_the_protocol(self, world: Scripted) -> None:
        """MQTT-3.1.2-8, 4.8."""
        world.join("bob")
        world.subscribe("bob", ("will", 0))
        world.join("ada", will=Will("will"))
        world.send("ada", b"\xf0\x00")
        assert world.heard("ada") == [None]
        assert world.heard("bob") == [message("will", b"")]

    def test_is_published_once(self, world: Scripted) -> None:
        """MQTT-3.1.2-10."""
        world.join("bob")
        world.subscribe("bob", ("will", 0))
        world.join("ada", clean=False, will=Will("will"))
        world.lose("ada")
        world.join("ada", clean=False)
        world.lose("ada")
        assert world.heard("bob") == [message("will", b"")]

    def test_is_replaced_by_the_next_connect(self, world: Scripted) -> None:
        """MQTT-3.1.2-9."""
        world.join("bob")
        world.subscribe("bob", ("+", 0))
        for topic in ("first", "second"):
            world.join("ada", clean=False, will=Will(topic))
            world.lose("ada")
            assert world.heard("bob") == [message(topic, b"")]

    def test_to_oneself(self) -> None:
        """Kept for the next connection; since 2.0.13 it has been sent by then, so DUP is set."""
        for dialect, dup in ((MOSQUITTO_2_0_11, False), (MOSQUITTO_2_0_21, True)):
            world = Scripted(dialect=dialect)
            world.join("ada", clean=False, will=Will("will", qos=1))
            world.subscribe("ada", ("will", 1))
            world.lose("ada")
            world.heard("ada")
            world.open("ada")
            world.say("ada", Connect("ada", clean=False))
            assert world.heard("ada")[1:] == [message("will", b"", 1, number=1, dup=dup)]


class TestSessions:
    def test_clean(self, world: Scripted) -> None:
        """MQTT-3.1.2-6: it ends with its connection."""
        world.join("ada")
        world.subscribe("ada", ("a", 1))
        world.lose("ada")
        assert world.join("ada", clean=False) == Connack(session_present=False)
        world.say("ada", message("a"))
        assert world.heard("ada") == []

    def test_kept(self, world: Scripted) -> None:
        """MQTT-3.1.2-4, -5, 3.2.2-2: subscriptions stay, QoS 1 and 2 wait, QoS 0 does not."""
        world.join("ada", clean=False)
        world.subscribe("ada", ("a", 2))
        world.say("ada", Disconnect())
        world.heard("ada")
        world.join("pub")
        for qos in (0, 1, 2):
            world.say("pub", message("a", b"%d" % qos, qos, number=qos and 1), Pubrel(1))
        assert world.join("ada", clean=False) == Connack(session_present=True)
        world.lose("ada")
        world.open("ada")
        world.say("ada", Connect("ada", clean=False))
        assert world.heard("ada") == [
            Connack(session_present=True),
            message("a", b"1", 1, number=1, dup=True),
            message("a", b"2", 2, number=2, dup=True),
        ]

    def test_clean_one_ends_the_kept_one(self, world: Scripted) -> None:
        """MQTT-3.1.2-6."""
        world.join("ada", clean=False)
        world.subscribe("ada", ("a", 1))
        assert world.join("ada") == Connack(session_present=False)
        world.lose("ada")
        assert world.join("ada", clean=False) == Connack(session_present=False)

    def test_handshake_goes_on_where_it_was(self, world: Scripted) -> None:
        """MQTT-4.4.0-1: PUBLISH again with DUP, or PUBREL, in both directions."""
        world.join("ada", clean=False)
        world.subscribe("ada", ("a", 2))
        for number in (1, 2):
            world.say("ada", message("a", b"%d" % number, 2, number))
        world.say("ada", Pubrel(1), Pubrec(1), message("b", qos=2, number=3))
        world.lose("ada")
        world.heard("ada")
        world.open("ada")
        world.say("ada", Connect("ada", clean=False))
        assert world.heard("ada") == [Connack(session_present=True), Pubrel(1)]
        world.say("ada", Pubcomp(1), Pubrel(2), message("b", qos=2, number=3, dup=True))
        assert world.heard("ada") == [message("a", b"2", 2, number=2), Pubcomp(2), Pubrec(3)]


class TestVersions:
    @pytest.mark.parametrize(
        ("version", "found"),
        [
            ("2.0.10", None),
            ("2.0.11", MOSQUITTO_2_0_11),
            ("2.0.12", MOSQUITTO_2_0_11),
            ("2.0.18", None),
            ("2.0.21", MOSQUITTO_2_0_21),
            ("2.0.22", MOSQUITTO_2_0_21),
            ("2.1.0", MOSQUITTO_2_1),
            ("2.1.2", MOSQUITTO_2_1),
        ],
    )
    def test_dialects(self, version: str, found: Dialect | None) -> None:
        assert dialect_of(version) == found

    def test_configuration_says_what_versions_would_decide_themselves(self) -> None:
        lines = configuration(Settings(window=7, copies=True), "1883").splitlines()
        assert {"listener 1883", "max_inflight_messages 7", "allow_duplicate_messages true"} <= {
            *lines
        }
        assert "allow_duplicate_messages false" in configuration(Settings())


class TestConnections:
    """What the part in front of every engine does."""

    def test_bytes_in_any_parts(self, world: Scripted) -> None:
        world.join("ada")
        for byte in message("a", qos=1, number=1).encode() + Pingreq().encode():
            world.send("ada", bytes((byte,)))
        assert world.heard("ada") == [Puback(1), Pingresp()]

    def test_good_packets_before_a_bad_one(self, world: Scripted) -> None:
        world.join("ada")
        world.send("ada", Pingreq().encode() + b"\x00\x00" + Pingreq().encode())
        assert world.heard("ada") == [Pingresp(), None]

    def test_closed_once(self) -> None:
        """A client that leaves, and breaks the protocol, and is lost, at one instant."""
        broker = Broker(Model())
        broker.advance(0, [Opened(1), Received(1, Connect("ada").encode())])
        rude = Received(1, Disconnect().encode() + b"\x00\x00")
        assert broker.advance(0, [rude]) == [(1, None)]
        assert broker.advance(0, [rude, Lost(1)]) == []

    def test_lost_ones_are_told_nothing(self) -> None:
        broker = Broker(Model())
        broker.advance(0, [Opened(1), Received(1, Connect("ada").encode())])
        assert broker.advance(0, [Received(1, Disconnect().encode()), Lost(1)]) == []

    def test_answers_by_connection(self) -> None:
        """Whatever order they were made in."""
        broker = Broker(Model())
        for number in (3, 1, 2):
            broker.advance(0, [Opened(number), Received(number, Connect(f"c{number}").encode())])
        events = [Received(number, Pingreq().encode()) for number in (2, 3, 1)]
        assert [answer.connection for answer in broker.advance(0, events)] == [1, 2, 3]
