"""Warm kernels: a fork server for Jupyter kernels, and the client that executes notebooks in them."""
