"""Runnable examples; installed as `simcore_scenarios`, so that they are found from anywhere."""
