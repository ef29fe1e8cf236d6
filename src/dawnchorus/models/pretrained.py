"""`from_pretrained`, `save_pretrained`, `push_to_hub`: the calls that models of the hub have."""

from __future__ import annotations


class Pretrained:
    """What a model offers to be read from a hub and written to one."""
