"""The plate detector and reader: luma arrays in, plate readings out.

Promises: pure array code, with no I/O except to load models, whose hashes must match their cards; an
unreadable slot is reported as ``?``, never omitted.
"""
