"""`doctor`: what is in folders of recordings, and what is wrong with it, without a model.

``scan`` looks at recordings, ``oddities`` at clocks and schedules, ``page`` draws the report.
"""
