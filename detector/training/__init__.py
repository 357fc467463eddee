"""How the nets are made: renderer, data sets, training, int8 export, evaluation.

Promises: never imported on the device, resumable, and no picture of a dev
split is ever trained or calibrated on.
"""
