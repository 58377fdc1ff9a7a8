"""A scenario, and models that can be told to fail, wait and block."""

MODELS = '''
"""Models that do what their `config` says, and tell the test how far they are."""
import os


def say(word):
    with open(os.environ["READY"], "w") as pipe:
        pipe.write(word + "\\n")


def wait():
    with open(os.environ["GO"]) as pipe:
        pipe.readline()


def sensor(node):
    """Sends every millisecond; the `at`-th time, something happens."""
    number = 0
    while True:
        yield node.sleep("1ms")
        if number == node.config.get("at"):
            HAPPENINGS[node.config["happens"]](node)
        node.send("sink", "reading", {"number": number, "noise": node.random.random()})
        node.record("number", number)
        number += 1


def raises(node):
    raise ValueError("the sensor is on fire")


def misspells(node):
    node.send("snik", "reading")


def sends_a_set(node):
    node.send("sink", "reading", {"numbers": {1, 2}})


def says(node):
    say("reached")


def waits(node):
    say("reached")
    wait()


def blocks(node):
    say("reached")
    while True:
        try:
            wait()
            while True:
                pass
        except Exception:
            pass


HAPPENINGS = {f.__name__: f for f in (raises, misspells, sends_a_set, says, waits, blocks)}


def sleeps(node):
    say("reached")
    yield node.sleep("9s")


def yields_a_number(node):
    yield node.sleep("1ms")
    yield 5


def process_of_its_own(node):
    def process():
        yield node.env.timeout(5_000_000)
        raise ValueError("nobody looks after me")

    node.env.process(process())
    yield node.sleep("1s")


def cannot_close(node):
    try:
        while True:
            node.send("sink", "reading")
            yield node.sleep("1ms")
    finally:
        raise ValueError("the port stays open")


def ping(node):
    node.send("sink", "ping")
    while True:
        node.reply((yield node.receive()), "ping")


def pong(node):
    while True:
        node.reply((yield node.receive()), "pong")


class Broken:
    def on_message(self, ctx, message):
        if message.payload["number"] == 2500:
            raise KeyError("weights")


class Stubborn:
    def on_message(self, ctx, message):
        blocks(ctx)
'''

SCENARIO = """
simcore: 1
name: trouble
duration: 10s
nodes:
  sensor:
    model: models.py:sensor
    config: {}
  sink: {}
"""
