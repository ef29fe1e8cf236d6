"""A model made ready for a run, batches of windows through it, and checks of what it gives."""
