"""Batches for training: each a function of seed and step, from a folder or from millions of files.

``vocabulary`` and ``crop_labels`` say which labels hold, ``sampling`` and ``draws`` which clip
comes when. ``noise`` and ``teacher`` add noise and soft targets, ``batches`` joins it all and
``loader`` works ahead of the model. ``shards`` packs small files into few large ones,
``statistics`` measures the input normalisation. Knows no models and no optimisers. Start reading
at ``batches``.
"""
