"""Small classifiers on an encoder's tokens.

``heads`` holds the classifiers, ``build`` joins one to an encoder with the released library's call
and its layer names. Fitting is the caller's for now. Start reading at ``build``.
"""
