"""What is to be done: recordings found, listed, named, and which of them are done already.

Start reading at ``find`` (from paths to recordings), then ``jobs`` (from a recording to a job).
"""
