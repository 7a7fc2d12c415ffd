"""Ventros: a CRM that lives inside your program.

import ventros

with ventros.open("crm.db") as crm:
    acme = crm.projects.create(name="Acme", default_region="BR")
    shop = crm.project(acme.id)
    customer = shop.contacts.create(name="First customer", phone="(11) 90000-0001")
"""

from __future__ import annotations

from . import aio, commands, events, types
from ._client import Crm, ManualClock, Project, RunReport, open
from ._copying import CopyProgress, CopyReport, copy
from ._dispatch import Subscription
from ._generated.errors import ErrorCode
from ._jobs import Permanent, RateLimited, Retry
from ._wire import Command, Event, Page, Subject
from .errors import (
    ConflictError,
    CorruptDataError,
    ExternalError,
    ForbiddenError,
    InternalError,
    InvalidStateError,
    LimitExceededError,
    NotFoundError,
    OperationTimeoutError,
    UnauthenticatedError,
    UnavailableError,
    ValidationError,
    VentrosError,
)

__all__ = [
    "Command",
    "ConflictError",
    "CopyProgress",
    "CopyReport",
    "CorruptDataError",
    "Crm",
    "ErrorCode",
    "Event",
    "ExternalError",
    "ForbiddenError",
    "InternalError",
    "InvalidStateError",
    "LimitExceededError",
    "ManualClock",
    "NotFoundError",
    "OperationTimeoutError",
    "Page",
    "Permanent",
    "Project",
    "RateLimited",
    "Retry",
    "RunReport",
    "Subject",
    "Subscription",
    "UnauthenticatedError",
    "UnavailableError",
    "ValidationError",
    "VentrosError",
    "aio",
    "commands",
    "copy",
    "events",
    "open",
    "types",
]
