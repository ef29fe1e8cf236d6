"""Encoders and their weights: what they compute, where they come from, whether they are right.

``encoder`` fixes what every encoder offers, ``eat`` is ours, ``cards`` describe the known weights,
``checkpoints`` maps foreign names strictly, ``hub`` downloads, ``load`` joins them, ``plugins``
finds encoders of other packages. Nothing here reads recordings or writes results. Start reading at
``load``.
"""
