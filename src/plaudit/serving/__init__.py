"""A language model that was taught, out in the world: as a directory with its card, and to chat with."""
