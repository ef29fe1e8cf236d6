"""Recipes: data, an objective and the loop joined into one run that a user can start.

One file per recipe. This is the only room that knows all three.
"""
