"""Encoders and their weights: what they compute, where they come from, whether they are right.

``encoder`` fixes what every encoder offers and may say of itself, ``eat`` is ours. A model is
loaded in steps, a module each: ``sources`` finds its files (``address`` and ``hub`` those of a
repository), ``weights_file`` inspects them by their ``header`` and ``layouts``, ``identify`` finds
the card, ``build`` fills the network exactly or not at all, ``class_labels`` names its classes.
``load`` joins these; ``write``, ``page`` and ``publish`` go the other way; ``plugins`` finds
encoders of other packages. Nothing here reads recordings or writes results. Start reading at
``load``.

One circle is left and resolved at first use: an `EAT` has ``from_pretrained`` and
``save_pretrained``, which call what builds an `EAT`.
"""
