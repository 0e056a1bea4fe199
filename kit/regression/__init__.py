"""`kit test`: the flows in test mode, then the debug notebooks, as regression tests."""
