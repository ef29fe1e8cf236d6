"""Sound: decoding, resampling, windows, log-mel, and what recorders note beside it.

``decode`` is the only package that decodes files. ``levels`` checks what comes out of it.
``resample`` and ``windows`` work on streams of sample blocks with integer positions. ``metadata``
and ``clock`` say when, where and by which recorder a recording was made. ``frontend`` and
``augment`` are torch code on arrays. Nothing here knows about models, stores or labels. Start
reading at ``decode/read`` (the door) and ``windows``.
"""
