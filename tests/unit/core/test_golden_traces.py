"""Golden traces: three small topologies, each record of their runs worked out on paper.

Records of one instant stand in the order of their nodes, after faults; what a node sent stands before what
it measured.
"""

from __future__ import annotations

from worlds import both, one_way, play, world


def test_a_star_on_one_medium_with_a_short_queue():
    """Three sensors share 8 Mbit/s: 1000 bytes take 1 ms, and one message may wait.

        sensor-0 \\
        sensor-1  >--- shared, 8 Mbit/s, 2 ms, queue 1 --- hub
        sensor-2 /

    At 0 all three send: one is transmitted, one waits, one is refused. At 1.5 ms sensor-2
    tries again: the medium is busy with sensor-1's until 2 ms, and nothing waits.
    """

    def sensor(node):
        node.send("hub", "reading", {"n": 1}, size=1000)
        if node.index == 2:
            yield node.sleep("1500us")
            node.send("hub", "reading", {"n": 2}, size=1000)
        yield node.sleep("1ms")

    def hub(node):
        while True:
            message = yield node.receive()
            node.record("from", message.source)

    nodes = {"sensor": {"does": sensor, "count": 3}, "hub": hub}
    links = [both("sensor", "hub", "2ms", rate="8Mbit/s", queue=1, shared=True)]
    assert play(world(nodes, links, lasts="10ms")).text == (
        """\
0 sensor-2/1 > hub reading {"n":1} (1000B) sent 0: queue_full
3ms sensor-0/1 > hub reading {"n":1} (1000B) sent 0: delivered
3ms hub measures from = sensor-0
4ms sensor-1/1 > hub reading {"n":1} (1000B) sent 0: delivered
4ms hub measures from = sensor-1
5ms sensor-2/2 > hub reading {"n":2} (1000B) sent 1.5ms: delivered
5ms hub measures from = sensor-2
"""
    )


def test_a_chain_of_two_hops_with_a_service_that_answers():
    """Requests overtake nothing: the cloud has one worker, which takes 4 ms for each.

        device --- 1 ms, 1 Mbit/s --- gateway --- 10 ms --- cloud (4 ms a request)

    125 bytes take 1 ms on the first link. The first request is at the gateway at 2 ms and in
    the cloud at 12 ms; the second, sent at once, 1 ms later each. The answers of 25 bytes
    leave at 16 and 20 ms, reach the gateway at 26 and 30 ms, and take 0.2 + 1 ms from there.
    """

    def device(node):
        for number in (1, 2):
            node.send("cloud", "ask", number, size=125)
        for _ in range(2):
            answer = yield node.receive()
            node.record("round_trip_us", (node.now - answer.origin) // 1000)

    class Cloud:
        def on_message(self, ctx, msg):
            ctx.compute("4ms")
            ctx.reply(msg, "answer", {"to": msg.payload}, size=25)
            ctx.record("served", msg.payload)

    nodes = {"device": device, "gateway": None, "cloud": Cloud}
    links = [both("device", "gateway", "1ms", rate="1Mbit/s"), both("gateway", "cloud", "10ms")]
    assert play(world(nodes, links, lasts="1s")).text == (
        """\
12ms device/1 > cloud ask 1 (125B) sent 0: delivered
13ms device/2 > cloud ask 2 (125B) sent 0: delivered
16ms cloud measures served = 1
20ms cloud measures served = 2
27.2ms device measures round_trip_us = 27200
27.2ms cloud/1 > device answer {"to":1} (25B) sent 16ms: delivered
31.2ms device measures round_trip_us = 31200
31.2ms cloud/2 > device answer {"to":2} (25B) sent 20ms: delivered
"""
    )


def test_a_triangle_without_delay_and_a_link_that_fails():
    """A token goes round at one instant, every 10 ms; at 15 ms b -> c fails for 10 ms.

          a
         / ^
        v   \\        a: model that starts the token, b: service, c: model
        b --> c      no link takes time

    At 0 and 10 ms it comes back at once, at 20 ms it is lost on b -> c, at 30 ms it is back.
    """

    def a(node):
        for lap in range(4):
            node.send("b", "token", lap)
            token = yield node.receive(timeout="5ms")
            node.record("back", token is not None)
            yield node.sleep(10_000_000 * (lap + 1) - node.now)

    class B:
        def on_message(self, ctx, msg):
            ctx.send("c", "token", msg.payload)

    def c(node):
        while True:
            token = yield node.receive()
            node.send("a", "token", token.payload, cause=token)

    links = [one_way("a", "b", "0ns"), one_way("b", "c", "0ns"), one_way("c", "a", "0ns")]
    faults = [{"at": "15ms", "for": "10ms", "link": ["b", "c"], "down": True}]
    assert play(world({"a": a, "b": B, "c": c}, links, lasts="35ms", faults=faults)).text == (
        """\
0 a/1 > b token 0 (1B) sent 0: delivered
0 a measures back = True
0 b/1 > c token 0 (1B) sent 0: delivered
0 c/1 > a token 0 (1B) sent 0: delivered
10ms a/2 > b token 1 (1B) sent 10ms: delivered
10ms a measures back = True
10ms b/2 > c token 1 (1B) sent 10ms: delivered
10ms c/2 > a token 1 (1B) sent 10ms: delivered
15ms fault 1 begin link_down b->c {}
20ms a/3 > b token 2 (1B) sent 20ms: delivered
20ms b/3 > c token 2 (1B) sent 20ms: link_down
25ms fault 2 end link_down b->c {}
25ms a measures back = False
30ms a/4 > b token 3 (1B) sent 30ms: delivered
30ms a measures back = True
30ms b/4 > c token 3 (1B) sent 30ms: delivered
30ms c/3 > a token 3 (1B) sent 30ms: delivered
"""
    )
