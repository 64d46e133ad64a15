"""Which questions are asked, when, and who answers: annotators, acquisition, schedules, sessions. No torch."""

from plaudit.ask.acquisition import Background, Proposal, Strategy, propose
from plaudit.ask.annotator import Annotator, People, feedback_id
from plaudit.ask.crowd import CrowdConfig, Group, Member, draw_crowd
from plaudit.ask.schedule import Schedule, sessions
from plaudit.ask.session import Session
from plaudit.ask.teacher_config import Careless, TeacherConfig
from plaudit.ask.teacher_remarks import Attempt
from plaudit.ask.teachers import Setting, Source, Teacher

__all__ = [
    "Annotator",
    "Attempt",
    "Background",
    "Careless",
    "CrowdConfig",
    "Group",
    "Member",
    "People",
    "Proposal",
    "Schedule",
    "Session",
    "Setting",
    "Source",
    "Strategy",
    "Teacher",
    "TeacherConfig",
    "draw_crowd",
    "feedback_id",
    "propose",
    "sessions",
]
