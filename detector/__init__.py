"""The eyes: luma arrays in, plate readings out.

Promises: pure array code, no I/O but loading a model whose hash its card names,
and an unreadable slot is reported as ``?``, never left out.
"""
