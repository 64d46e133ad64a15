"""Which questions are asked, when, and who answers: annotators, acquisition, schedules, sessions. No torch."""

from plaudit.ask.acquisition import Background, Proposal, Strategy, propose
from plaudit.ask.annotator import Annotator, People, feedback_id
from plaudit.ask.population import Group, Member, PopulationConfig, population
from plaudit.ask.schedule import Schedule, schedule, sessions
from plaudit.ask.session import Session
from plaudit.ask.teacher_config import Careless, TeacherConfig
from plaudit.ask.teacher_remarks import Attempt
from plaudit.ask.teachers import Setting, Source, Teacher

__all__ = [
    "Annotator",
    "Attempt",
    "Background",
    "Careless",
    "Group",
    "Member",
    "People",
    "PopulationConfig",
    "Proposal",
    "Schedule",
    "Session",
    "Setting",
    "Source",
    "Strategy",
    "Teacher",
    "TeacherConfig",
    "feedback_id",
    "population",
    "propose",
    "schedule",
    "sessions",
]
