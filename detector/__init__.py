"""The eyes: luma arrays in, plate readings out.

Pure array code. The only I/O is the loading of models, whose hashes must match their cards. An unreadable
slot is reported as ``?``, never omitted.
"""
