"""The embedding store: a folder of Parquet that other programs read without us.

It knows arrays, rows and files; it must not know audio or how an encoder runs. Start reading at
``schema`` (what lies where), then ``write`` (the commit rule) and ``read``. Under them lie
``parts`` (Parquet and its seals), ``recording_rows`` and ``row_rules`` (which row counts, and what
it may say), ``files`` and ``storage`` (disks and buckets). The format on one page:
docs/reference/store_format.md.
"""
