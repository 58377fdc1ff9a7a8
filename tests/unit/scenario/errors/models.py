"""What the cases refer to; `validate` must never run it."""

raise RuntimeError("a scenario's code was run by checking it")


def sensor(node):
    yield node.sleep("1s")


def gateway(node):
    yield node.receive()


async def waits(node):
    pass


class Classifier:
    def on_message(self, ctx, msg):
        pass
