"""The run: directory, configuration, seeds, commit protocol, what a learner is told. No torch."""
