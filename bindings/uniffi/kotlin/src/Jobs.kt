// Handlers of jobs: what becomes of each, and how many are under way.

package ventros

import java.util.concurrent.ConcurrentHashMap
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.Job
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.joinAll
import ventros.types.ClaimedJob

/** Thrown by a handler: the job failed and may work later. Whatever else it throws says the same. */
public class Retry(
    /** For people. */
    reason: String? = null,
    /** When to try again; after 5 seconds, doubled with each try up to an hour, unless told. */
    public val after: Duration? = null,
    cause: Throwable? = null,
) : Exception(reason, cause)

/** Thrown by a handler: the job can never work. It is given up at once (`job.dead`). */
public class Permanent(reason: String, cause: Throwable? = null) : Exception(reason, cause)

/** Thrown by a handler: whom it needs takes no more now. This does not count as a try. */
public class RateLimited(
    /** When to try again: one second to a day. */
    public val after: Duration,
    reason: String? = null,
    cause: Throwable? = null,
) : Exception(reason, cause)

/** A handler and the jobs that it does. */
internal class Worker(val wanted: Wanted, private val handler: suspend (ClaimedJob) -> Any?) {
    val jobs: MutableMap<String, Job> = ConcurrentHashMap()

    @Volatile
    var stopped: Boolean = false

    /** Does a job and gives its outcome, as the engine reads it. */
    suspend fun run(engine: Engine, job: ClaimedJob): String = try {
        done(engine, job, handler(job).takeUnless { it == Unit })
    } catch (thrown: Throwable) {
        // A timeout of the handler's own is a cancellation too, but not of this.
        currentCoroutineContext().ensureActive()
        encode(outcome(engine, job, thrown))
    }

    private fun done(engine: Engine, job: ClaimedJob, result: Any?): String = try {
        encode(mapOf("type" to "done", "result" to result))
    } catch (unwritable: IllegalArgumentException) {
        // A lambda returns what stands last in it, wanted or not: no reason to do all of it again.
        engine.report(unwritable, wanted.failure(null, retried = false, job))
        encode(mapOf("type" to "done"))
    }

    private fun outcome(engine: Engine, job: ClaimedJob, thrown: Throwable): Map<String, Any?> = fields {
        when (thrown) {
            is RateLimited -> {
                put("type", "rate_limited")
                put("after_seconds", wholeSeconds(thrown.after))
            }
            is Permanent -> {
                engine.report(thrown, wanted.failure(null, retried = false, job))
                put("type", "permanent")
                put("error", thrown.message)
            }
            is Retry -> {
                put("type", "retry")
                given("error", thrown.message)
                given("after_seconds", thrown.after?.let { wholeSeconds(it) })
            }
            else -> {
                engine.report(thrown, wanted.failure(null, retried = true, job))
                put("type", "retry")
                put("error", thrown.toString())
            }
        }
    }
}

/** A handler as the engine is asked for it. */
internal fun wantedJobs(project: Any?, kind: String, concurrency: Int?, timeout: Duration?): Wanted {
    val json = fields {
        put("kind", "jobs")
        put("project_id", project)
        put("job_kind", kind)
        given("concurrency", concurrency)
        given("timeout_seconds", timeout?.let { wholeSeconds(it) })
    }
    return Wanted(emptyList(), kind, encode(json))
}

/** Starts a handler. */
internal suspend fun Engine.handle(wanted: Wanted, handler: suspend (ClaimedJob) -> Any?): Subscription {
    val worker = Worker(wanted, handler)
    val token = employ(worker)
    val subscription = Subscription {
        worker.stopped = true
        retire(token)
        if (!insideCallback()) worker.jobs.values.toList().joinAll()
    }
    try {
        currentCoroutineContext().ensureActive()
    } catch (thrown: Throwable) {
        retire(token)
        throw thrown
    }
    return subscription
}

/** Whole seconds, and not less. */
private fun wholeSeconds(duration: Duration): Long {
    val whole = duration.inWholeSeconds
    return if (whole.seconds < duration) whole + 1 else whole
}
