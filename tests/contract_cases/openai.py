"""Stands for a library that is slow to import."""
