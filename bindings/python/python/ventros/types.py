"""The data that operations take and return."""

from ._generated.types import *  # noqa: F403
