"""Stages that train language models: supervised fine-tuning, direct alignment from comparisons. Each file reads top to bottom."""
