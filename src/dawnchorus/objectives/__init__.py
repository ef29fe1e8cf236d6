"""What a model is trained for: an objective turns a batch into losses.

``classify`` is supervised, with another model's outputs as optional soft targets. Knows models and
tensors; no files, no loops, no optimisers.
"""
