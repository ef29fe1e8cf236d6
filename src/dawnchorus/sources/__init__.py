"""Published collections of sound, one file each: their tables in, rows of a manifest out.

A reader is a function ``read(path, report, ...)`` that yields `SourceRow`. It knows its format and
its quirks; names, licences, duplicates and the writing are the same for all, in ``make``. ``gbif``
holds what Darwin Core archives share, ``names`` turns names into labels, ``download`` fetches the
sound. Start reading at ``make``.
"""
