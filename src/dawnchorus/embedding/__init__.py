"""A labelled clip to its vector: pieces as long as the window, pooled by length, kept in a cache.

The benchmark, probe fitting and the scikit-learn estimator all embed clips here. Start reading at
``pieces``, which states the rule.
"""
