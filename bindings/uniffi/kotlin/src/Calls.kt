// How a generated method becomes a call of the engine.

package ventros

import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.toList
import ventros.types.ActorRef
import ventros.types.ProjectId

/** What every call through one handle carries. */
internal class Scope(val projectId: ProjectId?, val actor: ActorRef?) {
    /** The context of a call without options. */
    private val json = context(null, null)

    fun context(idempotencyKey: String?, expectedVersion: Long?, plain: Boolean): String =
        if (plain) json else context(idempotencyKey, expectedVersion)

    private fun context(idempotencyKey: String?, expectedVersion: Long?): String = encode(
        fields {
            put("project_id", projectId)
            put("actor", actor)
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
        val plain = idempotencyKey == null && expectedVersion == null
        val context = scope.context(idempotencyKey, expectedVersion, plain)
        return command.decode(engine.call(command.operation, encode(command), context))
    }

    internal suspend fun ask(operation: String, input: Map<String, Any?> = emptyMap()): Any? =
        engine.call(operation, encode(input), scope.context(null, null, plain = true))

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
