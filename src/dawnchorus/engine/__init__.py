"""Recordings in, windows through an encoder, results out.

It joins ``audio``, ``models`` and ``store`` and decides what happens when a file is bad or a run
is stopped; it must not know the terminal. Start reading at ``embed``; the path of a recording is
``plan``, ``read``, ``pipeline``, ``encode``.
"""
