"""Algorithms: SAC, PPO and DQN on Stable-Baselines3, SBX as an optional backend, and a plain policy gradient."""
