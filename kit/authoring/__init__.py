"""A flow that grows in a notebook, a cell a step: its order, its tasks in this process, and the file it becomes."""
