"""Experiments: many runs as one question. A run never knows that it is one of a thousand."""
