"""MQTT 3.1.1 on virtual time: packets, clients, and two brokers with one behaviour.

Nothing here knows of SimPy or of a federation: a broker is given packets at instants of virtual
time and answers with packets. What hangs it into a run stands elsewhere.
"""
