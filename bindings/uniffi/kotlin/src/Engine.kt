// One open engine: calls that wait for their answer, and subscriptions that wait for events.

package ventros

import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicLong
import java.util.logging.Level
import java.util.logging.Logger
import kotlin.coroutines.CoroutineContext
import kotlin.coroutines.resume
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CancellableContinuation
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.update
import kotlinx.coroutines.launch
import kotlinx.coroutines.suspendCancellableCoroutine
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeoutOrNull
import ventros.engine.Delivery
import ventros.engine.Doorbell
import ventros.engine.NativeEngine
import ventros.engine.Settled
import ventros.types.ClaimedJob
import ventros.types.decodeClaimedJob

/** How long `close` waits for callbacks that run. */
private val FAREWELL = 5.seconds

/** How long it waits for jobs. */
private val STOP = 30.seconds

/** Where a failure that belongs to no call happened. */
public data class CallbackFailure(
    /** The events that the subscription asked for. */
    val events: List<String>,
    /** The name of a durable subscription, or the kind of jobs. */
    val name: String?,
    /** The event at which the callback failed; null when the subscription itself met an error. */
    val event: Event<*>?,
    /** Whether it is tried again. */
    val retried: Boolean,
    /** The job at which the handler failed. */
    val job: ClaimedJob? = null,
)

/** The engine behind all handles of one `open`. */
internal class Engine(
    context: CoroutineContext,
    private val onError: ((Throwable, CallbackFailure) -> Unit)?,
    open: (Doorbell) -> NativeEngine,
) {
    private val calls = ConcurrentHashMap<Long, CancellableContinuation<String>>()
    private val mailboxes = ConcurrentHashMap<Long, Mailbox>()
    private val workers = ConcurrentHashMap<Long, Worker>()
    private val tokens = AtomicLong()
    private val delivered = AtomicBoolean()
    private val closing = AtomicBoolean()
    private val closed = CompletableDeferred<Unit>()

    /** Deliveries to callbacks and handlers that are not handled yet. */
    private val busy = MutableStateFlow(0)

    /** Deliveries reach their mailboxes in the order in which the engine made them. */
    private val draining = Any()

    /** Where callbacks run. */
    val callbacks = CoroutineScope(context + SupervisorJob())

    private val native: NativeEngine = guarded { open(Bell { drain() }) }

    /** Runs an operation on the engine's threads. */
    suspend fun call(operation: String, input: String, context: String): Any? {
        val answer = suspendCancellableCoroutine { continuation ->
            val token = tokens.incrementAndGet()
            calls[token] = continuation
            try {
                guarded { native.submit(token, operation, input, context) }
            } catch (error: VentrosError) {
                calls.remove(token)
                throw error
            }
            // Nothing is answered and nothing can fail: the call is only told to end.
            continuation.invokeOnCancellation { if (calls.remove(token) != null) native.cancel(token) }
        }
        val parsed = record(parse(answer))
        return if ("error" in parsed) throw decodeError(parsed["error"]) else parsed["ok"]
    }

    /** Starts a subscription; its mailbox is known before the first event can come. */
    suspend fun subscribe(mailbox: Mailbox) {
        val token = tokens.incrementAndGet()
        mailbox.token = token
        mailboxes[token] = mailbox
        blocking { guarded { native.subscribe(token, mailbox.wanted.json) } }
        if (closing.get()) mailbox.stop()
    }

    /** Ends a subscription; a durable one keeps its place. */
    suspend fun unsubscribe(mailbox: Mailbox) {
        if (mailboxes.remove(mailbox.token) != null) blocking { native.cancel(mailbox.token) }
    }

    /** Starts a handler; it is known before its first job can come. */
    suspend fun employ(worker: Worker): Long {
        val token = tokens.incrementAndGet()
        workers[token] = worker
        try {
            blocking { guarded { native.subscribe(token, worker.wanted.json) } }
        } catch (error: VentrosError) {
            workers.remove(token)
            throw error
        }
        return token
    }

    /** Takes no more jobs for a handler; those that it has go on. */
    suspend fun retire(token: Long): Unit = blocking { native.cancel(token) }

    /** Hands back what was done with a delivery of the mailbox. */
    fun settle(mailbox: Mailbox, done: Int, error: String?) {
        drain(listOf(Settled(mailbox.token, done.toUInt(), error)))
        if (mailbox.awaited) busy.update { it - 1 }
    }

    /** Waits until the callbacks have handled what is here. Says whether anything was since the last time. */
    suspend fun idle(): Boolean {
        drain()
        // Whoever runs the callback asks, too.
        if (insideCallback()) return false
        quiet()
        return delivered.getAndSet(false)
    }

    /** Tells whoever listens for failures, or the log. */
    fun report(error: Throwable, failure: CallbackFailure) {
        try {
            if (onError == null) warn(error, failure) else onError.invoke(error, failure)
        } catch (another: Exception) {
            warn(another, failure)
        }
    }

    /** Ends everything; calls that wait fail with `closed`. */
    suspend fun close(): Unit = withContext(NonCancellable) {
        val inside = insideCallback()
        if (closing.getAndSet(true)) {
            if (!inside) closed.await()
            return@withContext
        }
        mailboxes.values.forEach { it.stop() }
        for ((token, worker) in workers) {
            worker.stopped = true
            retire(token)
        }
        // A callback that closes does not wait for itself.
        val patience = if (workers.values.any { it.jobs.isNotEmpty() }) STOP else FAREWELL
        if (!inside) withTimeoutOrNull(patience) { quiet() }
        blocking { native.shutdown() }
        drain()
        mailboxes.clear()
        workers.clear()
        if (!inside) callbacks.cancel()
        closed.complete(Unit)
    }

    private suspend fun quiet() {
        busy.first { it == 0 }
    }

    private fun drain(settled: List<Settled> = emptyList()) {
        val answers = mutableListOf<Pair<Long, String>>()
        synchronized(draining) {
            for (delivery in guarded { native.drain(settled) }) {
                when (delivery) {
                    is Delivery.Completed -> answers.add(delivery.token to delivery.answer)
                    is Delivery.Live -> deliver(delivery.token, delivery.events)
                    is Delivery.Durable -> deliver(delivery.token, delivery.events)
                    is Delivery.Job -> begin(delivery.token, decodeClaimedJob(parse(delivery.job)))
                    is Delivery.Lost -> workers[delivery.token]?.jobs?.get(delivery.job)?.cancel()
                    is Delivery.Failed -> (mailboxes[delivery.token]?.wanted ?: workers[delivery.token]?.wanted)?.let { wanted ->
                        val error = decodeError(parse(delivery.error))
                        callbacks.launch { report(error, wanted.failure(null, retried = true)) }
                    }
                }
            }
        }
        // Outside the lock: whoever waits may go on at once, on this thread.
        for ((token, answer) in answers) calls.remove(token)?.resume(answer)
    }

    private fun deliver(token: Long, events: String) {
        val mailbox = mailboxes[token] ?: return
        if (mailbox.awaited) busy.update { it + 1 }
        if (mailbox.deliver(events)) delivered.set(true) else if (mailbox.awaited) busy.update { it - 1 }
    }

    /** Gives a job a coroutine of its own. */
    private fun begin(token: Long, job: ClaimedJob) {
        val worker = workers[token]
        val id = job.id.value
        if (worker == null || worker.stopped) return reportJob(token, id, null)
        delivered.set(true)
        busy.update { it + 1 }
        var outcome: String? = null
        val running = callbacks.launch(Inside(Cause(job))) { outcome = worker.run(this@Engine, job) }
        worker.jobs[id] = running
        running.invokeOnCompletion {
            // Without an outcome it was cancelled: lost, or to be handed back.
            reportJob(token, id, outcome)
            worker.jobs.remove(id)
            busy.update { it - 1 }
        }
    }

    private fun reportJob(token: Long, job: String, outcome: String?) {
        try {
            guarded { native.report(token, job, outcome) }
        } catch (error: VentrosError) {
            // Closed meanwhile: the job comes again elsewhere.
            workers[token]?.let { report(error, it.wanted.failure(null, retried = true)) }
        }
    }

    private fun warn(error: Throwable, failure: CallbackFailure) {
        val subscription = failure.name ?: failure.events.joinToString()
        val (event, job) = failure.event to failure.job
        val where = when {
            event != null -> "A callback failed on ${event.type} ${event.seq}"
            job != null -> "A handler failed on ${job.kind} ${job.id}"
            else -> "The subscription $subscription failed"
        }
        LOGGER.log(Level.WARNING, where + if (failure.retried) " and is tried again" else "", error)
    }
}

private val LOGGER: Logger = Logger.getLogger("ventros")

/** Rings on a thread of the native side that does nothing else. */
private class Bell(private val rung: () -> Unit) : Doorbell {
    override fun ring() {
        // JNA attaches the thread for each ring: one that stayed attached would keep the process running.
        rung()
    }
}

/** What waits for the store, on a thread that may wait. It is not left half done. */
internal suspend fun <T> blocking(run: () -> T): T = withContext(NonCancellable + Dispatchers.IO) { run() }

/** Whether the code runs in a callback that has not returned yet: it must not wait for callbacks, nor for itself. */
internal suspend fun insideCallback(): Boolean = currentCoroutineContext()[Inside] != null

/** Marks the coroutine of a callback, and says what it was called with. */
internal class Inside(val cause: Cause? = null) : CoroutineContext.Element {
    override val key: CoroutineContext.Key<Inside> get() = Inside

    companion object : CoroutineContext.Key<Inside>
}

