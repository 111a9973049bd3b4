"""The parts that come with core. They use the same hooks as anybody's plugin."""
