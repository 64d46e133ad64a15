"""Pure functions: preference likelihoods, returns, policy losses, aggregates. Each with its paper and equation."""
