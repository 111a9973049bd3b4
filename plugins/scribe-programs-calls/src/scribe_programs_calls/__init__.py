"""Programs that judge tool calls without a reference answer.

Each is a builder: `values_grounded().build()` is a function from a Subgoal to a Finding. A finding fails only
where the conversation itself shows the fault; what words cannot decide passes or stays undecided.
"""
