"""MQTT 3.1.1 on virtual time: packets, clients, and two brokers with one behaviour.

Models and services use it by `from simcore_backends import mqtt` and `mqtt.publish(...)`; the
scenario says who is a client of which broker (`extension`). The broker itself and the clients know
nothing of SimPy or of a federation: they are given packets at instants of virtual time and answer
with packets.
"""

from .api import connect, disconnect, publish, subscribe, unsubscribe

__all__ = ["connect", "disconnect", "publish", "subscribe", "unsubscribe"]
