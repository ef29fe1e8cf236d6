"""Clips for training: manifests in, batches out, from a folder or from millions of files.

``manifest`` is the table of clips that all else works on. It is made by ``folders``, ``tables`` and
``annotations``, put together by ``join``, ``filter`` and ``split``, looked into by ``check``,
``duplicates``, ``summary`` and ``statistics``, and packed by ``pack``. For training, ``sounds`` and
``cache`` read, ``vocabulary`` and ``truth`` say which labels hold, ``sampling`` and ``draws`` which
clip comes when, ``noise`` and ``teacher`` add theirs, ``batches`` joins it and ``loader`` works
ahead. Knows no models and no optimisers. Start reading at ``batches``.
"""
