"""The participant of the measured cycle: answers each ping at once, by the participant's library."""

from simcore.protocol.peer import serve


class Echo:
    """One message in, one message out."""

    def advance(self, peer, until, inputs):
        for message in inputs:
            peer.send(message.source, "pong", message.payload)


serve(Echo())
