"""Loading what a scenario names: where backends look for it."""

from simcore.protocol.loading import load_object, load_service

__all__ = ["load_object", "load_service"]
