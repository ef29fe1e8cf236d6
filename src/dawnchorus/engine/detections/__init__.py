"""What comes out of `predict`: scores of windows to rows of detections, and their report.

``classify`` scores windows, ``thresholds`` says which scores become rows, ``merging`` joins
windows, ``writer`` puts the rows of a recording into a file.
"""
