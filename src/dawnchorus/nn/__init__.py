"""Torch modules only: no files, no names of models, no options read from outside.

``patches`` and ``positions`` turn a log-mel into tokens, ``attention`` and ``blocks`` are the
transformer. Start reading at ``blocks``.
"""
