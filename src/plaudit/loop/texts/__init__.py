"""Runs that teach a language model: prompts are its world, completions its behaviour."""
