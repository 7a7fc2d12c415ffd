"""Commands to hand to `transact`, which runs several in one commit."""

from ._generated.commands import *  # noqa: F403
