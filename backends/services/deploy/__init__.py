"""Deploy mode: a service on a device of its own, with the messages of a real MQTT broker.

`python3 -m simcore_backends.services.deploy` runs the class that a simulation runs, in the host
that a simulation gives it: the same random numbers, the same canonical payloads. What differs is
time: timers keep to the wall clock, and computing takes what it takes. `docs/deployability.md` is
the user's page. Needs paho-mqtt and the standard library.
"""
