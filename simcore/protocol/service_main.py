"""`python -m simcore.protocol.service_main`: a service as a program of its own.

It hosts one service class exactly as simcore does in its own process, so that both give the same
digest, and needs the standard library only. INIT's config says what to run::

    {"service": "file.py:Class" or "package.module:Class", "base": folder of the scenario,
     "workers": 1, "queue": null, "config": {...}, "calibrate": false}
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from simcore.errors import SimcoreError, UnitError, UsageError
from simcore.protocol.loading import load_service
from simcore.protocol.peer import Advance, Peer, Refused, plain
from simcore.protocol.service import Done, Measure, Output, ServiceHost, check_service


class _Hosted:
    """The service of one node; it is made at its first advance, as in simcore's own process."""

    def __init__(self, peer: Peer) -> None:
        config = peer.config
        self._peer = peer
        self.name = peer.nodes[0]
        self._service = load_service(config["service"], Path(config["base"]))
        check_service(self._service, config["service"])
        self._host: ServiceHost | None = None

    def advance(self, advance: Advance) -> Done:
        if self._host is None:
            config = self._peer.config
            self._host = ServiceHost(
                self._service(),
                name=self.name,
                seed=self._peer.seed,
                config=config.get("config", {}),
                base=Path(config["base"]),
                workers=config.get("workers", 1),
                queue=config.get("queue"),
                freeze=plain,
                life=self._peer.life,
                calibrate=config.get("calibrate", False),
            )
        return self._host.advance(advance.until, advance.inputs)


def _output(output: Output) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "at": output.at,
        "dst": output.destination,
        "kind": output.kind,
        "payload": output.payload,
    }
    if output.size is not None:
        fields["size"] = output.size
    if output.cause is not None:
        fields["cause"] = output.cause.id
    if output.waited or output.computed:
        fields["spent"] = (output.waited, output.computed)
    return fields


def _measure(measure: Measure) -> dict[str, Any]:
    return {"at": measure.at, "name": measure.name, "value": measure.value}


def _serve(peer: Peer) -> int:
    try:
        hosted = _Hosted(peer)
    except UsageError as error:
        peer.fail(str(error), traceback.format_exc())
        return 1
    peer.ready("reactive", peer.time)
    for advance in peer.advances():
        try:
            done = hosted.advance(advance)
        except Exception as error:  # noqa: BLE001 - whatever it is, simcore reports it
            if isinstance(error, SimcoreError) and not isinstance(error, UnitError):
                peer.fail(str(error))  # it says everything, as in simcore's own process
            else:
                peer.fail(
                    f"the service of {hosted.name} raised {type(error).__name__}: {error}",
                    traceback.format_exc(),
                )
            return 1
        peer.done(map(_output, done.outputs), map(_measure, done.measures), done.next)
    return 0


def main() -> int:
    """Host the service to the end of the run; returns the exit code."""
    try:
        with Peer.connect() as peer:
            return _serve(peer)
    except Refused as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    raise SystemExit(main())
