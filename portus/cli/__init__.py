"""The `portus` command."""
