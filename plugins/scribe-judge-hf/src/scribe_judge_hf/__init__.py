"""A judge for scribe out of local weights."""
