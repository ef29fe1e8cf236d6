"""How good encoders are: tasks, plans, probes and distances, scores, and their report.

A plan is every model on every task by every readout and probe. Start reading in ``run``: it goes
through the plan; ``plan`` says what cells there are, ``task_run`` joins a model and a task,
``features`` gets the embedded clips, ``scoring`` turns a cell into rows of results, ``cell_key``
knows which are finished. ``tasks/`` has the sets, ``report/`` the pages. Knows nothing of the
terminal.
"""
