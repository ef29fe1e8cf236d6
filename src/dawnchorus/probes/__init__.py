"""Small classifiers on an encoder's features: built, fitted, calibrated, saved.

``fit`` trains one on stored ``features``: ``solvers`` says how (``linear`` solves logistic
regression), ``choose`` which hyper-parameters, on ``folds`` of whole groups. ``fitted`` is the
result: a ``net`` with its classes, the ``encoder_mark`` of its encoder and ``notes``, checked by
``description`` and written by ``files``. ``held_out`` gives logits of items that it was not trained
on, from which follow its calibration (``calibration``, ``calibrate``, ``choose_calibration``), its
``thresholds`` (``ranked``, ``shares``) and its ``reliability``. ``build`` and ``design`` join a
head of ``heads`` to an encoder by the released library's call; ``finetune`` trains that on
waveforms, the encoder too.

Nothing here knows tasks, files of audio, stores or tables of labels. Start reading at ``fit``.
"""
