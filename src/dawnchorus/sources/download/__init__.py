"""Downloads of a manifest's sound: which files, within which limits, and what became of each.

Start reading at ``run``; ``requests`` keeps the limits, ``fetch`` gets one file.
"""
