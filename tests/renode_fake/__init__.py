"""A stand-in of Renode, so that the agent in backends/renode/agent.py is tested where there is none.

fake_renode.py is started as Renode is, and runs the agent's own file. What the agent touches is in
members.py, with the file of Renode in which it is; whatever else it touches ends the process.
"""
