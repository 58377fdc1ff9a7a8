"""The direct network: at once, in the order of the nodes, to oneself as well."""

from __future__ import annotations

from worlds import play, world


def test_messages_arrive_at_the_instant_they_are_sent_in_the_order_of_the_nodes():
    """m-0, m-1, m-2 ---> hub, sent in the opposite order at one instant."""

    def m(node):
        yield node.env.timeout(5)
        node.send("hub", "x", node.index)

    def hub(node):
        while True:
            message = yield node.receive()
            node.record("got", f"{message.payload} at {node.now}")

    def drive(federation):
        for name in ("m-2", "m-1", "m-0"):
            federation.env.process(m(federation.nodes[name]))
        federation.env.run(until=10)

    told = play(world({"m": {"does": None, "count": 3}, "hub": hub}), drive)
    assert told.measured("got") == ["0 at 5", "1 at 5", "2 at 5"]


def test_a_node_reaches_itself():
    def a(node):
        node.send("a", "note", "hello")
        message = yield node.receive()
        node.record("got", message.payload)

    assert play(world({"a": a})).measured("got") == ["hello"]


def test_it_has_no_links():
    network = play(world({"a": None})).federation.network
    assert list(network.metrics(1)) == []
    assert dict(network.lookahead()) == {}


def test_model_events_of_the_instant_come_before_the_delivery():
    """What b does at 5 ns itself is over when a message sent at 5 ns arrives."""

    def a(node):
        yield node.sleep(5)
        node.send("b", "x")

    def b(node):
        yield node.env.timeout(5)
        node.record("inbox", node.inbox)
        yield node.env.timeout(0)
        node.record("inbox", node.inbox)
        yield node.receive()
        node.record("now", node.now)

    told = play(world({"a": a, "b": b}))
    assert told.measured("inbox") == [0, 0]
    assert told.measured("now") == [5]
