"""Sound: decoding, resampling, windows, log-mel, augmentation.

``io`` is the only module that decodes files. ``resample`` and ``windows`` work on streams of sample
blocks with integer positions. ``frontend`` and ``augment`` are torch code on arrays. Nothing here
knows about models, stores or labels. Start reading at ``windows``.
"""
