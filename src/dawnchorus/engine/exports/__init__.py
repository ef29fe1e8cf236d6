"""Detections as files: a module a format, and how files are named, written and finished.

``formats`` lists the formats, ``output`` writes files that are there whole or not at all,
``detection_table`` says what a detection is. It must not know how detections are chosen.
"""
