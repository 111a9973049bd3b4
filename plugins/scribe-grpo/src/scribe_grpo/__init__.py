"""Policy optimisation for scribe, with torch and nothing beneath."""
