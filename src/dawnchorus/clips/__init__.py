"""Manifests: tables of labelled clips, and what is done to them.

``manifest`` is the table that everything else works on. ``folders``, ``tables`` and ``annotations``
make one of what people have, ``join``, ``filter`` and ``split`` put manifests together, and
``check``, ``duplicates`` and ``summary`` look into them. ``sounds`` reads the sound of a clip.
Knows no models, no batches and no published collections. Start reading at ``manifest``.
"""
