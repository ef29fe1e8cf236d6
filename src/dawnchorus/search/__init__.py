"""Vectors in stores: what lies near a query, and what there is at all.

It knows stores and encoders, not what a label is good for: probes, densities and pages are rooms
above. Start reading in `dawnchorus.search.archive`, which gives the windows of stores their order.
"""
