"""Frames on their way to a read: sources, capture, the pipeline, pictures."""
