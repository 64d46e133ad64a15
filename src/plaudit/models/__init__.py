"""Numeric kernels of small networks, and ensembles of them."""
