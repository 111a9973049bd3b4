"""The curated skill library: data, and the builder that points to it."""
