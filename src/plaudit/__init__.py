"""Human judgement into behaviour: reinforcement learning from human feedback, end to end, in one loop."""

__version__ = "0.1.0"
