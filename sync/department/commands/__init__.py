"""The commands of the `department` program, one per file (see `sync/command_frame.py`)."""
