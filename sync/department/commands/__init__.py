"""One file a command of the `department` program (see `sync/command_frame.py`)."""
