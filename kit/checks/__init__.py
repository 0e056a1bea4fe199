"""`kit check`: the good practices of a Metaflow project, read from its files alone; no flow is imported."""
