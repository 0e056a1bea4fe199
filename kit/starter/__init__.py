"""`kit init`: a project that starts right, from the real files of `template`."""
