"""The reward model: from answers to arrays, likelihoods, fit, and the fitted ensemble."""
