"""Text tables as people and programs write them: bytes in, rows of named cells out, and back.

From the bytes up: ``files`` opens a table wherever it lies (a file, a gzip, a member of a zip),
``encodings`` finds out how it is encoded, ``rows`` cuts lines into cells, and ``read`` joins the
three. ``column_names`` and ``columns`` say what each column is, ``values`` what a cell means,
``paths`` how a path is spelled; ``write`` writes tables. Knows nothing of recordings, annotations
or manifests. Start reading at `read.open_table`, then `columns.assign_columns`.
"""
