"""The commands of `python -m classifier`: each has `add_arguments(parser)` and `run(args) -> exit status`."""
