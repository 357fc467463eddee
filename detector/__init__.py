"""The eyes: luma arrays in, plate readings out.

Promises: pure array code, no I/O except loading a model whose hash is on its card,
and an unreadable slot is reported as ``?``, never omitted.
"""
