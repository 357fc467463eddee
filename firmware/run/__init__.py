"""The only room that wires: a run from its start to its end."""
