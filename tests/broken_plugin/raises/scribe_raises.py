"""A plugin that cannot be imported, and that prints while it tries."""

print("scribe_raises was here")  # noqa: T201
raise RuntimeError("this plugin raises on import")
