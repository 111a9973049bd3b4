"""The environment `stockroom`: multi-step tasks over a small simulated warehouse, made on demand.

`warehouse` is the world and its tools, `goals` what can be asked and the plan that does it, `puzzles` draws a
world and a goal from a seed, and `environment` offers them as tasks and sessions.
"""
