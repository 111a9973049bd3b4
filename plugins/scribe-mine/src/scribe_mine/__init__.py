"""Draft prototypes out of trajectories: subgoals are grouped, and each group says what it is and how it fails."""
