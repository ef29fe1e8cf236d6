"""How good an encoder is: tasks, features, probes, scores, report."""
