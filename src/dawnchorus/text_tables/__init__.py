"""Text tables as users have them: their encodings, separators, columns, numbers and dates.

Knows nothing of recordings or manifests; `dawnchorus.data` and `dawnchorus.engine` say what they
need of a table. Start reading at `text.open_table`, then `columns.plan_columns`.
"""
