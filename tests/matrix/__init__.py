"""Many small flows, each a graph with a body: run once, then replayed task by task."""
