"""The contract kit: drives a program through the rules of the protocol and names those it breaks.

`rules.py` lists the rules, `check.py` examines them, `docs/contract.md` is for users.
"""
