"""What to label next, and what the labels say of the whole archive.

``scores`` gives every window of an archive one number. For a density, ``strata`` puts the windows
in bins by that number and draws some of each to be judged; ``density`` makes of the judgements how
many windows hold the call, with an interval. ``density_plan`` remembers what was drawn and
``run_density`` joins it all. Start reading there.

It knows archives, annotations and probes; it must not know the terminal.
"""
