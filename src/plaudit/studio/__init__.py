"""The labelling page and its API, for people on this machine. No torch."""
