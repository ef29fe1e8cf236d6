"""Manifests: tables of labelled clips, and what is done to them.

``manifest`` is the table that everything else works on. ``imports`` makes one of what people have:
annotations and tables (read in `dawnchorus.annotations`), ``folders`` of sounds. ``join``,
``filter`` and ``split`` put manifests together; ``check``, ``duplicates`` and ``summary`` look into
them. ``sounds`` reads the sound of a clip. Knows no models, no batches and no published
collections. Start reading at ``manifest``, then ``imports``.
"""
