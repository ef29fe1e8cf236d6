"""Downloads of a manifest's sound: what is wanted, within which limits, and what became of it."""
