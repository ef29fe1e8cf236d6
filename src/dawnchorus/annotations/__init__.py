"""What people and programs wrote down about recordings: rows of their tables to labelled spans.

A module a layout: ``raven`` (selection tables), ``audacity`` (label tracks), ``kaleidoscope`` (its
rules), and ``table`` (CSV of any other program, and what all of them share). ``recordings`` finds
the recording that a table means, ``label_cells`` the labels of a cell. Each gives `Annotation`: a
recording, a span, a band, labels. ``annotation_table`` keeps what people say of an archive, and
``window_labels`` says which windows that labels. Knows nothing of sound, clips or manifests. Start
reading at ``annotation``, then ``table``; for the table of an archive at ``annotation_row``.
"""
