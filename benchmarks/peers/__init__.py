"""The peers `plaudit` is measured against, each run in its own environment, and the protocol both sides share."""
