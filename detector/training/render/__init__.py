"""Pictures for training: plates, cameras, scenes and a drive-by, all drawn by numpy and Pillow.

Promises: every picture follows from the generator it is given, and its truth
(text, jurisdiction, corners) is known to a fraction of a pixel.
"""
