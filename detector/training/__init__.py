"""How the nets are made: renderer, data sets, training, int8 export, evaluation.

Promises: a unit never imports it; a training resumes where it stopped; no picture of a dev split is
used to train or to calibrate.
"""
