"""How sound flows: read in a thread, cut to windows, encoded in batches, back in order.

Start reading at ``run``; what flows is in ``events``. It must not know what becomes of the results.
"""
