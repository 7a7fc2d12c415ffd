// Callbacks and flows of events. One delivery is out per subscription, so a slow host holds nothing up but itself.

package ventros

import kotlin.time.Duration.Companion.seconds
import kotlin.time.TimeSource
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import ventros.events.EventData
import ventros.types.ClaimedJob

/**
 * How long one delivery is worked on before the rest is handed back, to come again at once. Well below the lease of the
 * engine, which acknowledging renews: with slow callbacks no other process takes over what is still being handled here.
 */
private val PATIENCE = 10.seconds

/** A subscription as the engine is asked for it. */
internal class Wanted(
    val events: List<String>,
    /** The name of a durable one. */
    val name: String?,
    /** What the engine reads. */
    val json: String,
) {
    fun failure(event: Event<*>?, retried: Boolean, job: ClaimedJob? = null) = CallbackFailure(events, name, event, retried, job)
}

/** Room for the one delivery that is yet to be read. */
internal class Mailbox(
    val wanted: Wanted,
    /** Whether `runPending` and `close` wait for what is delivered. A flow may be the one who waits. */
    val awaited: Boolean,
) {
    val deliveries: Channel<String> = Channel(capacity = 1)
    var token: Long = 0

    @Volatile
    var stopped: Boolean = false
        private set

    fun deliver(events: String): Boolean = deliveries.trySend(events).isSuccess

    /** Takes no further event. */
    fun stop() {
        stopped = true
        deliveries.close()
    }
}

/** A running callback or handler. */
public class Subscription internal constructor(private val end: suspend () -> Unit) {
    /**
     * Ends it, after the event that is being handled. A durable one keeps its place in the log and goes on when it is
     * subscribed again. A handler takes no more jobs and finishes those that it has. Inside a callback it takes effect when the
     * callback returns.
     */
    public suspend fun cancel(): Unit = end()
}

/** Calls [handler] with one event after the other. Returns once it listens. */
internal suspend fun Engine.callback(wanted: Wanted, handler: suspend (Event<EventData>) -> Unit): Subscription {
    val mailbox = Mailbox(wanted, awaited = true)
    try {
        subscribe(mailbox)
        currentCoroutineContext().ensureActive()
    } catch (thrown: Throwable) {
        unsubscribe(mailbox)
        throw thrown
    }
    val job = callbacks.launch(Inside(), CoroutineStart.UNDISPATCHED) {
        try {
            for (delivery in mailbox.deliveries) serve(mailbox, delivery, handler)
        } finally {
            unsubscribe(mailbox)
        }
    }
    return Subscription {
        mailbox.stop()
        if (!insideCallback()) job.join()
    }
}

private suspend fun Engine.serve(mailbox: Mailbox, delivery: String, handler: suspend (Event<EventData>) -> Unit) {
    val wanted = mailbox.wanted
    val durable = wanted.name != null
    val began = TimeSource.Monotonic.markNow()
    var done = 0
    var error: String? = null
    var event: Event<EventData>? = null
    try {
        for (json in list(parse(delivery)) { it }) {
            if (mailbox.stopped || (durable && began.elapsedNow() > PATIENCE)) break
            try {
                event = null
                val heard = decodeEvent(json)
                event = heard
                withContext(Inside(Cause(heard))) { handler(heard) }
            } catch (thrown: Throwable) {
                // A timeout of the handler's own is a cancellation too, but not of this.
                currentCoroutineContext().ensureActive()
                report(thrown, wanted.failure(event, durable))
                if (durable) {
                    error = thrown.toString()
                    break
                }
            }
            done += 1
        }
    } finally {
        settle(mailbox, done, error)
    }
}

/** Events for a collector: what it has returned from is acknowledged. */
internal fun Engine.events(wanted: Wanted): Flow<Event<EventData>> = flow {
    val mailbox = Mailbox(wanted, awaited = false)
    try {
        subscribe(mailbox)
        for (delivery in mailbox.deliveries) {
            val began = TimeSource.Monotonic.markNow()
            var done = 0
            var error: String? = null
            try {
                for (json in list(parse(delivery)) { it }) {
                    if (mailbox.stopped || began.elapsedNow() > PATIENCE) break
                    val event = decodeEvent(json)
                    try {
                        emit(event)
                    } catch (left: CancellationException) {
                        throw left
                    } catch (thrown: Throwable) {
                        error = thrown.toString()
                        throw thrown
                    }
                    done += 1
                }
            } finally {
                settle(mailbox, done, error)
            }
        }
    } finally {
        unsubscribe(mailbox)
    }
}
