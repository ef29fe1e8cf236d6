"""Encoders computed by another library than torch: written as a graph, made smaller, and run."""
