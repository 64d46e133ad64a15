"""Comparisons with references, and the doctor's checks of a run and of an installation."""
