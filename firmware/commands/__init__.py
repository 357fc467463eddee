"""One file a command of the `reader` program (see `sync/command_frame.py`)."""
