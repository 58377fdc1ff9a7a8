"""`timing: wallclock`: unmodified containers, which know nothing of simcore, in real time.

Such a container runs while a window of virtual time is open, and is frozen in between: the time
that it was let run is its virtual time. Between it and simcore stands an adapter, a thread that
speaks the protocol of a free-running participant to the one side, and lines or HTTP to the other.
"""
