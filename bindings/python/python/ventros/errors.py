"""What a call raises: one class per kind of failure, the exact reason in `code`."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from ._generated.errors import ErrorCode
from ._native import EngineError


class VentrosError(Exception):
    """Any failure of Ventros."""

    code: ErrorCode
    """Exactly what went wrong; stable."""
    message: str
    """A sentence for logs; may change."""
    field: str | None
    """The path of the input field at fault."""
    details: dict[str, Any]
    """Particulars, such as `max` or `allowed`."""
    errors: tuple[VentrosError, ...]
    """Further failures of the same call: a form shows all of them."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        field: str | None = None,
        details: dict[str, Any] | None = None,
        errors: tuple[VentrosError, ...] = (),
    ) -> None:
        super().__init__(code, message, field, details or {}, errors)
        self.code = code
        self.message = message
        self.field = field
        self.details = details or {}
        self.errors = errors

    def __str__(self) -> str:
        place = f" ({self.field})" if self.field else ""
        others = "".join(f"; {error}" for error in self.errors)
        return f"{self.code}{place}: {self.message}{others}"


class ValidationError(VentrosError):
    """The input is malformed or out of range."""


class NotFoundError(VentrosError):
    """Absent, deleted or in another project: indistinguishable on purpose."""


class ConflictError(VentrosError):
    """A version or a unique key is taken."""


class InvalidStateError(VentrosError):
    """The state does not allow it now."""


class ForbiddenError(VentrosError):
    """The actor lacks the right."""


class LimitExceededError(VentrosError):
    """A plan limit, the size of a collection, or a rate."""


class UnauthenticatedError(VentrosError):
    """Nobody proved who is calling."""


class UnavailableError(VentrosError):
    """Store or network; a later try may succeed."""


class ExternalError(VentrosError):
    """A provider answered with an error."""


class OperationTimeoutError(VentrosError):
    """It took too long or was cancelled."""


class InternalError(VentrosError):
    """A defect of Ventros; please report it."""


class CorruptDataError(VentrosError):
    """A stored row cannot be read; it is never guessed."""


CLASSES: Final[dict[str, type[VentrosError]]] = {
    "validation": ValidationError,
    "not_found": NotFoundError,
    "conflict": ConflictError,
    "invalid_state": InvalidStateError,
    "forbidden": ForbiddenError,
    "limit_exceeded": LimitExceededError,
    "unauthenticated": UnauthenticatedError,
    "unavailable": UnavailableError,
    "external": ExternalError,
    "timeout": OperationTimeoutError,
    "internal": InternalError,
    "corrupt_data": CorruptDataError,
}


class ErrorBody(Struct, frozen=True):
    """An error as the engine writes it."""

    kind: str
    code: str
    message: str
    field: str | None = None
    details: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    errors: list[ErrorBody] = msgspec.field(default_factory=list["ErrorBody"])

    @staticmethod
    def read(body: bytes) -> VentrosError:
        """The exception for an error of the engine."""
        return _decoder.decode(body).exception()

    def exception(self) -> VentrosError:
        """The exception to raise."""
        code: Any = self.code
        others = tuple(error.exception() for error in self.errors)
        return CLASSES.get(self.kind, VentrosError)(code, self.message, self.field, self.details, others)


_decoder = msgspec.json.Decoder(ErrorBody)


def wire_error(error: EngineError) -> VentrosError:
    """The exception for what the native side raised."""
    return ErrorBody.read(error.args[0])
