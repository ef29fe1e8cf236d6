"""Labelled clips to a calibrated probe with thresholds, its evaluation, and reports to read.

The path of ``fit``: ``labels`` reads what people have, ``select`` says which of it can be trained
on, ``embed`` makes features, ``scores`` says how well the probe does on clips held out.
"""
