"""Calls per recorded hour, by site, date and local hour, and a report of it.

Recorded hours come from the recordings that were made, never from the calls: an hour in which
nothing was recorded has no number, and an hour in which nothing called has 0. Start in ``run.py``;
``effort.py`` has the rule for hours. It must not know the terminal, nor how windows were judged.
"""
