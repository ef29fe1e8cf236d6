"""Small classifiers on an encoder's features: made, fitted, chosen, saved.

``build`` joins a head of ``heads`` to an encoder with the released library's call and its layer
names. ``fit`` trains one on stored ``features``: ``solvers`` says how (``linear`` solves logistic
regression), ``choose`` which hyper-parameters. ``fitted`` is the result, a ``net`` with its classes
and the mark of its encoder, as it lies on disk; ``reading`` takes what it needs of an encoder's
output. ``finetune`` trains on waveforms, the encoder too. Nothing here knows tasks or files of
audio. Start reading at ``fit``.
"""
