"""Species names: as publishers write them, as taxonomies know them, as labels."""
