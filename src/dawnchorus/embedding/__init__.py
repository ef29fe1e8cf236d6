"""A labelled clip to its embedding: cut into pieces, encoded, kept in a cache, pooled.

The benchmark, probe fitting and the scikit-learn estimator all embed clips here, so that a clip has
one embedding whoever asks. Start reading at ``pieces``, which states the rule; then ``encode``
(pieces through an encoder), ``pool`` (pieces back to a clip), ``cache`` (what is kept, and under
which key), ``content`` (what names a clip's sound), ``sounds`` (clips of files) and ``clips``,
which joins them. Knows nothing of tasks, labels, splits and probes.
"""
