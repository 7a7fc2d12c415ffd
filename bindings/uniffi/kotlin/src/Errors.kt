// What a call throws: one class per kind of failure, the exact reason in `code`.

package ventros

import ventros.engine.EngineException
import ventros.engine.InternalException

/** Any failure of Ventros. [message] is a sentence for logs; it may change. */
public sealed class VentrosError(internal val failure: ErrorBody) : Exception(failure.describe()) {
    /** Exactly what went wrong; stable. */
    public val code: ErrorCode get() = failure.code

    /** The path of the input field at fault. */
    public val field: String? get() = failure.field

    /** Particulars, such as `max` or `allowed`. */
    public val details: Map<String, Any?> get() = failure.details

    /** Further failures of the same call: a form shows all of them. */
    public val errors: List<VentrosError> get() = failure.errors
}

/** The input is malformed or out of range. */
public class ValidationError internal constructor(failure: ErrorBody) : VentrosError(failure)

/** Absent, deleted or in another project: indistinguishable on purpose. */
public class NotFoundError internal constructor(failure: ErrorBody) : VentrosError(failure)

/** A version or a unique key is taken. */
public class ConflictError internal constructor(failure: ErrorBody) : VentrosError(failure)

/** The state does not allow it now. */
public class InvalidStateError internal constructor(failure: ErrorBody) : VentrosError(failure)

/** The actor lacks the right. */
public class ForbiddenError internal constructor(failure: ErrorBody) : VentrosError(failure)

/** A plan limit, the size of a collection, or a rate. */
public class LimitExceededError internal constructor(failure: ErrorBody) : VentrosError(failure)

/** Nobody proved who is calling. */
public class UnauthenticatedError internal constructor(failure: ErrorBody) : VentrosError(failure)

/** Store or network; a later try may succeed. */
public class UnavailableError internal constructor(failure: ErrorBody) : VentrosError(failure)

/** A provider answered with an error. */
public class ExternalError internal constructor(failure: ErrorBody) : VentrosError(failure)

/** It took too long or was cancelled. */
public class OperationTimeoutError internal constructor(failure: ErrorBody) : VentrosError(failure)

/** A defect of Ventros; please report it. */
public class InternalError internal constructor(failure: ErrorBody) : VentrosError(failure)

/** A stored row cannot be read; it is never guessed. */
public class CorruptDataError internal constructor(failure: ErrorBody) : VentrosError(failure)

/** An error as the engine writes it. */
public class ErrorBody internal constructor(
    internal val code: ErrorCode,
    internal val message: String,
    internal val field: String?,
    internal val details: Map<String, Any?>,
    internal val errors: List<VentrosError>,
) {
    internal fun describe(): String {
        val others = errors.joinToString("") { "; ${it.code}${place(it.field)}" }
        return "$code${place(field)}: $message$others"
    }

    private fun place(field: String?): String = if (field == null) "" else " ($field)"
}

internal fun decodeError(json: Any?): VentrosError {
    val from = record(json)
    val code = text(from["code"])
    val failure = ErrorBody(
        code = ErrorCode.of(code),
        message = text(from["message"]),
        field = from["field"]?.let(::text),
        details = from["details"]?.let(::record) ?: emptyMap(),
        errors = from["errors"]?.let { list(it, ::decodeError) } ?: emptyList(),
    )
    return when (val kind = text(from["kind"])) {
        "validation" -> ValidationError(failure)
        "not_found" -> NotFoundError(failure)
        "conflict" -> ConflictError(failure)
        "invalid_state" -> InvalidStateError(failure)
        "forbidden" -> ForbiddenError(failure)
        "limit_exceeded" -> LimitExceededError(failure)
        "unauthenticated" -> UnauthenticatedError(failure)
        "unavailable" -> UnavailableError(failure)
        "external" -> ExternalError(failure)
        "timeout" -> OperationTimeoutError(failure)
        "internal" -> InternalError(failure)
        "corrupt_data" -> CorruptDataError(failure)
        else -> unexpected("kind of error", kind)
    }
}

/** Runs something of the native side; what it throws becomes an error of ours, a panic included. */
internal inline fun <T> guarded(run: () -> T): T = try {
    run()
} catch (refused: EngineException.Refused) {
    throw decodeError(parse(refused.json))
} catch (panic: InternalException) {
    throw InternalError(ErrorBody(ErrorCode.INTERNAL, "panic: ${panic.message}", null, emptyMap(), emptyList()))
}
