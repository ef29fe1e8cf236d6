"""Detections as files: one format a class, and how the files are named."""
