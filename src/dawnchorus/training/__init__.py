"""Training: the loop, its schedule, its checkpoints and its log.

The loop knows an objective's step function and a source of batches, not what they are made of. A
run folder is laid out by ``run``; ``checkpoint`` writes and reads what a resume needs. Start at
``loop``.
"""
