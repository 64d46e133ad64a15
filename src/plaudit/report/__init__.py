"""The report of a run, from its event log to one page, and the doctor's look at it.

`write` draws clips, which takes Gymnasium and Pillow; nothing is imported here, so that the studio needs neither.
"""
