"""The command line: a thin face on the library, one module per command."""
