// The open CRM and its projects.

package ventros

import java.time.Instant
import java.time.temporal.ChronoUnit
import java.util.Base64
import kotlin.coroutines.CoroutineContext
import kotlin.time.Duration
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.withContext
import ventros.client.ProjectCollections
import ventros.client.SystemCollections
import ventros.engine.NativeClock
import ventros.engine.NativeEngine
import ventros.events.EventData
import ventros.types.ActorKind
import ventros.types.ActorRef
import ventros.types.ClaimedJob
import ventros.types.ProjectId
import ventros.types.SagaDefinition
import ventros.types.UserId

/** A clock that stands still until it is told to move, for tests. */
public class ManualClock(now: Instant) {
    internal val native: NativeClock = NativeClock(ChronoUnit.MICROS.between(Instant.EPOCH, now))

    /** The instant it shows. */
    public fun now(): Instant = Instant.EPOCH.plus(native.now(), ChronoUnit.MICROS)

    /** Moves it. */
    public fun advance(by: Duration): Unit = native.advance(by.inWholeMicroseconds)
}

/** An open CRM. Close it, or hand it to [use]. */
public class Crm internal constructor(engine: Engine, scope: Scope) : SystemCollections(engine, scope) {
    /** The project as this handle's actor sees it. */
    public fun project(id: ProjectId): Project = Project(engine, Scope(id, scope.actor))

    /** The same CRM as [actor] sees it. */
    public fun actingAs(actor: ActorRef): Crm = Crm(engine, Scope(scope.projectId, actor))

    /** The same CRM as a user sees it. */
    public fun actingAs(user: UserId): Crm = actingAs(actor(user))

    /**
     * Calls [handler] with each job of this kind (of all projects, which take turns), at least once.
     *
     * Returning ends the job with what is returned, at most 16 KiB of JSON: texts, numbers, lists and maps. What JSON cannot hold
     * goes to `onError`, and the job ends without a result. Throwing [Permanent] gives it up, [RateLimited] puts it off, and
     * anything else, [Retry] above all, has it tried again later, until its tries are used up. While the handler runs the job stays
     * its own, up to [timeout]; a process that dies loses it after 30 seconds. A handler whose job was lost or cancelled meanwhile
     * is cancelled.
     *
     * @param kind `host.` and a name, as in `jobs.enqueue`.
     * @param concurrency How many jobs at a time, 1 to 100; 4 unless told.
     * @param timeout How long a try may take, at most an hour; an hour unless told. Then it has failed.
     * @param handler `job.idempotencyKey` is the same at every try.
     * @return once it takes jobs.
     */
    public suspend fun handle(
        kind: String,
        concurrency: Int? = null,
        timeout: Duration? = null,
        handler: suspend (ClaimedJob) -> Any?,
    ): Subscription = engine.handle(wantedJobs(null, kind, concurrency, timeout), handler)

    /**
     * Makes a kind of saga known to this process: from now on `sagas.start` takes it, and the background work here carries its sagas
     * on.
     *
     * Every process that works on them defines the same. Sagas of a kind that a process does not know wait for one that does; those
     * of a version that was taken out fail with `saga_migration_missing`.
     */
    public suspend fun defineSaga(definition: SagaDefinition) {
        engine.call("engine.define_saga", encode(definition), "{}")
    }

    /** Does all work that is due: reactions, timers, jobs and callbacks. Returns when nothing is left. */
    public suspend fun runPending(): RunReport {
        var total = RunReport()
        do total += decodeReport(ask("engine.run_pending")) while (engine.idle())
        return total
    }

    /** Runs several commands in one commit: all or nothing. Gives their results in order. */
    public suspend fun transact(commands: List<Command<*>>, idempotencyKey: String? = null): List<Any?> =
        transact(engine, scope, commands, idempotencyKey)

    /** Ends callbacks and background work and closes the store. Closing twice is fine. */
    public suspend fun close(): Unit = engine.close()

    public companion object {
        /**
         * Opens a CRM, creating its store if there is none.
         *
         * @param location A path, a URL such as `sqlite:///crm.db` or `postgresql://user@host/database`, or `:memory:`.
         * @param clock A clock for tests; the system's without it.
         * @param background Whether reactions, timers and callbacks run by themselves. Otherwise call [runPending].
         * @param actor Who calls by default; without it the host itself, which may do everything.
         * @param encryptionKey Seals secrets such as the API key of a channel: 32 random bytes. Keep it apart from the
         * store; without it nothing that needs a secret can be kept.
         * @param oldEncryptionKeys Keys that were in use before: what is still sealed under them opens, until
         * `credentials.rotateKeys` has sealed everything under [encryptionKey].
         * @param seed For tests, beside a manual clock: ids and secrets depend on it alone, so that the same calls give the
         * same results. Whoever knows it can guess every secret.
         * @param http Whether calls to the outside are made, such as those of webhooks. Otherwise they wait.
         * @param privateHosts Hosts outside the public net that may be called although somebody else named them, such as
         * `n8n.internal` or `10.0.0.5:5678`.
         * @param allowHttp Allows addresses without TLS, for development.
         * @param callbacks Where handlers run.
         * @param onError Hears of failing callbacks and subscriptions; without it each is a warning of the logger `ventros`.
         */
        public suspend fun open(
            location: String,
            clock: ManualClock? = null,
            background: Boolean = true,
            actor: ActorRef? = null,
            encryptionKey: ByteArray? = null,
            oldEncryptionKeys: List<ByteArray> = emptyList(),
            seed: Long? = null,
            http: Boolean = true,
            privateHosts: List<String> = emptyList(),
            allowHttp: Boolean = false,
            callbacks: CoroutineContext = Dispatchers.Default,
            onError: ((Throwable, CallbackFailure) -> Unit)? = null,
        ): Crm {
            val options = encode(
                fields {
                    put("background", background)
                    given("encryption_key", encryptionKey?.let { Base64.getEncoder().encodeToString(it) })
                    if (oldEncryptionKeys.isNotEmpty()) {
                        given("old_encryption_keys", oldEncryptionKeys.map { Base64.getEncoder().encodeToString(it) })
                    }
                    given("seed", seed)
                    put("http", http)
                    put("private_hosts", privateHosts)
                    put("allow_http", allowHttp)
                },
            )
            val engine = withContext(NonCancellable + Dispatchers.IO) {
                Engine(callbacks, onError) { bell -> NativeEngine.open(location, options, clock?.native, bell) }
            }
            return Crm(engine, Scope(null, actor))
        }
    }
}

/** Runs [block] with the CRM and closes it, whatever happens. */
public suspend inline fun <T> Crm.use(block: (Crm) -> T): T = try {
    block(this)
} finally {
    close()
}

/** One project of an open CRM, as one actor sees it. */
public class Project internal constructor(engine: Engine, scope: Scope) : ProjectCollections(engine, scope) {
    /** The project's id. */
    public val id: ProjectId = checkNotNull(scope.projectId) { "a project has an id" }

    /** The same project as [actor] sees it. */
    public fun actingAs(actor: ActorRef): Project = Project(engine, Scope(id, actor, scope.cause))

    /** The same project as a user sees it. */
    public fun actingAs(user: UserId): Project = actingAs(actor(user))

    /**
     * The same project, for what follows from an event: what is recorded through it belongs to the same flow (`correlation_id`, seen
     * by `events.trace`) and names the event (`causation_id`).
     *
     * For collectors of flows. Callbacks and handlers need it not: their calls are taken as following from the event or the job that
     * they were called with.
     */
    public fun causedBy(event: Event<*>): Project = Project(engine, Scope(id, scope.actor, Cause(event)))

    /** The same for what follows from a job. */
    public fun causedBy(job: ClaimedJob): Project = Project(engine, Scope(id, scope.actor, Cause(job)))

    /** Runs several commands in one commit: all or nothing. Gives their results in order. */
    public suspend fun transact(commands: List<Command<*>>, idempotencyKey: String? = null): List<Any?> =
        transact(engine, scope, commands, idempotencyKey)

    /**
     * What happens from the moment it is collected, as long as this process lives.
     *
     * @param events A type (`contact.created`), all of a group (`contact.*`), `*`, or several.
     */
    public fun on(vararg events: String): Flow<Event<EventData>> = engine.events(live(events.toList()))

    /** The same for one type of event: `on(ContactCreated)`. */
    public fun <D : EventData> on(type: EventType<D>): Flow<Event<D>> = engine.events(live(listOf(type.name))).only()

    /**
     * Calls [handler] with what happens from now on, one event after the other, until it is cancelled or the CRM is closed.
     *
     * What the handler throws goes to `onError`; the next event comes all the same.
     *
     * @return once it listens.
     */
    public suspend fun on(vararg events: String, handler: suspend (Event<EventData>) -> Unit): Subscription =
        engine.callback(live(events.toList()), handler)

    /** The same for one type of event: `on(ContactCreated) { event -> event.data.name }`. */
    public suspend fun <D : EventData> on(type: EventType<D>, handler: suspend (Event<D>) -> Unit): Subscription =
        engine.callback(live(listOf(type.name))) { handler(it.of()) }

    /**
     * Every event at least once, in order, also those recorded while nobody listened.
     *
     * A collector acknowledges an event by returning. When it throws, the event counts as failed and what it threw ends the
     * flow, as with every flow: the event comes again, after a while, to whoever collects the same name. When it is
     * cancelled or takes no more (`first()`, `take(n)`), the event at hand is neither acknowledged nor failed. An operator
     * that buffers acknowledges what it has taken. The flow ends when the CRM is closed.
     *
     * @param name Names the place in the log; the same name goes on where it stopped.
     * @param events Which events, as for [on].
     * @param start Where a new name begins; a known one goes on.
     * @param maxAttempts How often an event is tried before it is given up as a dead letter: 1 to 100, 10 unless told.
     */
    public fun subscribe(
        name: String,
        events: List<String> = listOf("*"),
        start: Start = Start.Beginning,
        maxAttempts: Int? = null,
    ): Flow<Event<EventData>> = engine.events(durable(name, events, start, maxAttempts))

    /**
     * Calls [handler] with every event at least once, in order, also with those recorded while nobody listened.
     *
     * Returning acknowledges. Throwing tries again later, and gives the event up as a dead letter in the end. A handler shall
     * take less than 30 seconds for an event.
     *
     * @return once it listens.
     */
    public suspend fun subscribe(
        name: String,
        events: List<String> = listOf("*"),
        start: Start = Start.Beginning,
        maxAttempts: Int? = null,
        handler: suspend (Event<EventData>) -> Unit,
    ): Subscription = engine.callback(durable(name, events, start, maxAttempts), handler)

    /**
     * Calls [handler] with each job of this kind (of this project), at least once.
     *
     * Returning ends the job with what is returned, at most 16 KiB of JSON: texts, numbers, lists and maps. What JSON cannot hold
     * goes to `onError`, and the job ends without a result. Throwing [Permanent] gives it up, [RateLimited] puts it off, and
     * anything else, [Retry] above all, has it tried again later, until its tries are used up. While the handler runs the job stays
     * its own, up to [timeout]; a process that dies loses it after 30 seconds. A handler whose job was lost or cancelled meanwhile
     * is cancelled.
     *
     * @param kind `host.` and a name, as in `jobs.enqueue`.
     * @param concurrency How many jobs at a time, 1 to 100; 4 unless told.
     * @param timeout How long a try may take, at most an hour; an hour unless told. Then it has failed.
     * @param handler `job.idempotencyKey` is the same at every try.
     * @return once it takes jobs.
     */
    public suspend fun handle(
        kind: String,
        concurrency: Int? = null,
        timeout: Duration? = null,
        handler: suspend (ClaimedJob) -> Any?,
    ): Subscription = engine.handle(wantedJobs(id, kind, concurrency, timeout), handler)

    private fun live(events: List<String>): Wanted {
        val json = fields {
            put("kind", "live")
            put("project_id", id)
            put("events", events)
        }
        return Wanted(events, null, encode(json))
    }

    private fun durable(name: String, events: List<String>, start: Start, maxAttempts: Int?): Wanted {
        val json = fields {
            put("kind", "durable")
            put("project_id", id)
            put("name", name)
            put("events", events)
            put("start", start)
            given("max_attempts", maxAttempts)
        }
        return Wanted(events, name, encode(json))
    }
}

/** Where a new durable subscription begins. */
public sealed interface Start : Wire {
    /** With the first event of the project. */
    public data object Beginning : Start {
        override fun toJson(): Any? = mapOf("type" to "start")
    }

    /** With what happens from now on. */
    public data object Now : Start {
        override fun toJson(): Any? = mapOf("type" to "now")
    }

    /** After the event with this number. */
    public data class After(val seq: Long) : Start {
        override fun toJson(): Any? = mapOf("type" to "after", "seq" to seq)
    }
}

private fun actor(user: UserId) = ActorRef(kind = ActorKind.USER, id = user.value)

@Suppress("UNCHECKED_CAST") // The engine was asked for this type alone.
private fun <D : EventData> Event<EventData>.of(): Event<D> = this as Event<D>

@Suppress("UNCHECKED_CAST") // The engine was asked for this type alone.
private fun <D : EventData> Flow<Event<EventData>>.only(): Flow<Event<D>> = this as Flow<Event<D>>

private suspend fun transact(
    engine: Engine,
    scope: Scope,
    commands: List<Command<*>>,
    idempotencyKey: String?,
): List<Any?> {
    val steps = commands.map { mapOf("operation" to it.operation, "input" to it) }
    val context = scope.context(idempotencyKey, null)
    val results = list(engine.call("engine.transact", encode(mapOf("commands" to steps)), context)) { it }
    return commands.zip(results) { command, result -> command.decode(result) }
}
