"""One file a command of `department`: `add_parser(subparsers)` and `run(args) -> int`."""
