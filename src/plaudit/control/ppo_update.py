"""PPO's networks and update without autograd, equal to Stable-Baselines3's to rounding (tests/test_control_ppo.py).

    loss = -mean min(ratio A, clip(ratio) A) - ent_coef mean entropy + vf_coef mean (V(s) - R)^2

Schulman et al. 2017, https://arxiv.org/abs/1707.06347, equations 7 and 9, with Stable-Baselines3's details: advantages are
normalised within a batch, the gradient's length is bounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import PPO

from plaudit.control.config import PPOConfig
from plaudit.control.sb3 import WorldVecEnv, adopt, light_optimizers, linears, own_streams
from plaudit.models.kernels import Activation, Adam, FloatArray, Shape, Tape, clip_norm, with_ones
from plaudit.worlds.vector import VectorWorld
