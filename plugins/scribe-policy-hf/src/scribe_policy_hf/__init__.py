"""Policies for scribe out of transformers."""
