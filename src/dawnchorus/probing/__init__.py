"""Labelled clips to a calibrated probe with thresholds, its evaluation, and reports to read.

One walk, down and back once: ``labels`` says which classes hold for each clip, ``select`` which
clips are used (``background`` what counts as none of the classes), ``embed`` makes features,
``fit`` a probe, ``scores`` calibrates it and says how well it does on clips held out, ``curve`` how
well with fewer clips, ``report`` writes the page and ``pictures`` draws. ``evaluate`` walks the
same way with a probe that exists. ``estimator`` is the probe for scikit-learn.

Nothing here knows the terminal, or how a head is trained. Start reading at ``fit``.
"""
