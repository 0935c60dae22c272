"""Commands of `python -m classifier`: modules with `add_arguments(parser)` and `run(args) -> status`."""
