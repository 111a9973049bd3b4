"""A router that learns from exemplars and from labelled subgoals."""
