"""Published collections of sound, a module each: their tables in, rows of a manifest out.

A reader is a function ``read(path, report, ...)`` that yields `SourceRow`: it knows the format of
its collection and what is odd about it. Names, licences, duplicates and writing are the same for
all, in ``make``. ``gbif`` holds what Darwin Core archives share, ``source_table`` reads their
tables, ``names`` turns names into labels, ``download`` fetches the sound. Knows no batches, no
models and nothing of training. Start reading at ``make``, then ``xeno_canto``.
"""
