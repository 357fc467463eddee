"""The only room that wires the parts: a run from start to end."""
