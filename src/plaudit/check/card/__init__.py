"""The reward card: what any reward signal is worth, on any judged texts."""
