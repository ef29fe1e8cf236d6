"""The tasks, one file a family: each declares its tasks and turns raw data into items."""
