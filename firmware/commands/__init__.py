"""The commands of the `reader` program, one file each (see `sync/command_frame.py`)."""
