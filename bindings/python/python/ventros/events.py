"""What can happen: the data of every type of event, as `Event.data`."""

from ._generated.events import *  # noqa: F403
