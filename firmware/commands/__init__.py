"""One file a command of the ``reader`` program."""
