"""Which questions are asked, when, and who answers: annotators, acquisition, schedules, sessions. No torch."""

from plaudit.ask.acquisition import Background, Proposal, Strategy, propose
from plaudit.ask.annotator import Annotator, People, feedback_id
from plaudit.ask.schedule import Schedule, schedule, sessions
from plaudit.ask.session import Session
from plaudit.ask.teachers import Teacher, TeacherConfig

__all__ = [
    "Annotator",
    "Background",
    "People",
    "Proposal",
    "Schedule",
    "Session",
    "Strategy",
    "Teacher",
    "TeacherConfig",
    "feedback_id",
    "propose",
    "schedule",
    "sessions",
]
