"""Programs that check mathematical reasoning without a reference answer.

Each is a builder: `equalities_hold().build()` is a function from a Subgoal to a Finding. A finding fails only
where the text itself shows the fault: what cannot be read as arithmetic is passed over, not guessed.
"""
