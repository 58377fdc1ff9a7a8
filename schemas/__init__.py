"""The published JSON Schemas, installed with simcore so that any program can find them."""
