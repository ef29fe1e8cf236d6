"""The embedding store: a folder of Parquet that other programs read without us.

It knows arrays, rows and files; it must not know audio or how an encoder runs. Start reading at
``schema``
(what lies where), then ``write`` (the commit rule) and ``read``. The format on one page:
docs/reference/store_format.md.
"""
