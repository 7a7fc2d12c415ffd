// How a generated method becomes a call of the engine.

package ventros

import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.toList
import ventros.types.ActorRef
import ventros.types.ClaimedJob
import ventros.types.ProjectId

/** What led to a call. */
internal class Cause(
    /** The flow that both belong to. */
    val correlationId: String,
    /** The event that was heard, or that led to the job. */
    val causationId: String?,
) {
    constructor(event: Event<*>) : this(event.correlationId, event.id)

    constructor(job: ClaimedJob) : this(job.correlationId.value, job.causationId?.value)
}

/** What every call through one handle carries. */
internal class Scope(
    val projectId: ProjectId?,
    val actor: ActorRef?,
    /** What its calls follow from; without one, what the callback that runs was called with. */
    val cause: Cause? = null,
) {
    /** The context of a call without options. */
    private val json = context(null, null, cause)

    suspend fun context(idempotencyKey: String?, expectedVersion: Long?): String {
        val cause = cause ?: currentCoroutineContext()[Inside]?.cause
        val plain = idempotencyKey == null && expectedVersion == null && cause === this.cause
        return if (plain) json else context(idempotencyKey, expectedVersion, cause)
    }

    private fun context(idempotencyKey: String?, expectedVersion: Long?, cause: Cause?): String = encode(
        fields {
            put("project_id", projectId)
            put("actor", actor)
            given("correlation_id", cause?.correlationId)
            given("causation_id", cause?.causationId)
            given("idempotency_key", idempotencyKey)
            given("expected_version", expectedVersion)
        },
    )
}

/** A command that is not run yet, for `transact`. Each class of `ventros.commands` is one. */
public abstract class Command<T> internal constructor() : Wire {
    /** Such as `contacts.create`. */
    public abstract val operation: String

    internal abstract fun decode(json: Any?): T
}

/** Operations that belong together, bound to a project and an actor. */
public abstract class Collection internal constructor(internal val engine: Engine, internal val scope: Scope) {
    internal suspend fun <T> run(command: Command<T>, idempotencyKey: String?, expectedVersion: Long?): T {
        val context = scope.context(idempotencyKey, expectedVersion)
        return command.decode(engine.call(command.operation, encode(command), context))
    }

    internal suspend fun ask(operation: String, input: Map<String, Any?> = emptyMap()): Any? =
        engine.call(operation, encode(input), scope.context(null, null))

    internal fun <T> pages(operation: String, input: Map<String, Any?>, item: (Any?) -> T): Pager<T> =
        Pager { cursor -> page(ask(operation, if (cursor == null) input else input + ("cursor" to cursor)), item) }
}

/** A list as a flow of its items, which fetches its pages while it is collected. */
public class Pager<out T> internal constructor(private val fetch: suspend (String?) -> Page<T>) :
    Flow<T> by flow<T>({ pagesOf(fetch).collect { page -> page.items.forEach { emit(it) } } }) {

    /** One page: the first, or the one that [cursor] names. */
    public suspend fun page(cursor: String? = null): Page<T> = fetch(cursor)

    /** All pages. */
    public fun pages(): Flow<Page<T>> = pagesOf(fetch)

    /** Everything in one list. */
    public suspend fun all(): List<T> = toList()
}

private fun <T> pagesOf(fetch: suspend (String?) -> Page<T>): Flow<Page<T>> = flow {
    var page = fetch(null)
    emit(page)
    while (true) {
        page = fetch(page.nextCursor ?: break)
        emit(page)
    }
}
