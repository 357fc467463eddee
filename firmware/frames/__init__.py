"""From frame to read: sources, capture, the pipeline, pictures."""
