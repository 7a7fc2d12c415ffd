// Jobs: what handlers give and throw, how many run, and how they end.

import java.util.concurrent.atomic.AtomicInteger
import kotlin.time.Duration.Companion.hours
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import ventros.CallbackFailure
import ventros.Crm
import ventros.ErrorCode
import ventros.Permanent
import ventros.RateLimited
import ventros.Retry
import ventros.Subscription
import ventros.ValidationError
import ventros.types.JobState
import ventros.use

fun handlerTests() {
    test("what a handler returns is the result of its job") {
        crm.handle("host.report") { job ->
            equal(job.projectId, shop.id)
            equal(job.idempotencyKey, job.id.value)
            mapOf("pages" to (job.payload as Map<*, *>)["month"])
        }
        val job = shop.jobs.enqueue(kind = "host.report", payload = mapOf("month" to 3))
        equal(crm.runPending().delivered, 1L)
        val ended = shop.jobs.get(job.id)
        equal(ended.state, JobState.SUCCEEDED)
        equal(ended.result, mapOf("pages" to 3L))
    }

    test("case 8: a handler that fails twice succeeds at its third try with the same key") {
        val failures = mutableListOf<Pair<Throwable, CallbackFailure>>()
        Crm.open("$folder/other.db", clock = clock, background = false, onError = { error, failure -> failures.add(error to failure) }).use { crm ->
            val shop = crm.project(crm.projects.create(name = "Acme").id)
            val keys = mutableListOf<String>()
            shop.handle("host.report") { job ->
                keys.add(job.idempotencyKey)
                if (job.attempts == 1L) throw Retry("out of paper", after = 29_500.milliseconds)
                if (job.attempts == 2L) error("the printer is on fire")
            }
            val job = shop.jobs.enqueue(kind = "host.report")
            crm.runPending()
            equal(shop.jobs.get(job.id).lastError, "out of paper")
            clock.advance(29.seconds)
            crm.runPending()
            equal(keys.size, 1)
            clock.advance(1.seconds)
            crm.runPending()
            equal(failures.single().first.message, "the printer is on fire")
            equal(failures.single().second.job?.id, job.id)
            clock.advance(60.seconds)
            crm.runPending()
            val ended = shop.jobs.get(job.id)
            equal(ended.state, JobState.SUCCEEDED)
            equal(ended.attempts, 3L)
            equal(ended.result, null)
            equal(keys, List(3) { job.id.value })
        }
    }

    test("case 8: what can never work is dead after one try, and whoever is asked to wait loses none") {
        val tries = mutableListOf<Long>()
        shop.handle("host.report") { job ->
            tries.add(job.attempts)
            if (tries.size == 1) throw RateLimited(after = 60.seconds)
            throw Permanent("no such month")
        }
        val job = shop.jobs.enqueue(kind = "host.report")
        crm.runPending()
        clock.advance(59.seconds)
        crm.runPending()
        equal(tries, listOf(1L))
        clock.advance(1.seconds)
        crm.runPending()
        val ended = shop.jobs.get(job.id)
        equal(ended.state, JobState.DEAD)
        equal(ended.lastError, "no such month")
        equal(tries, listOf(1L, 1L))
    }

    test("case 11: the result of a job that is cancelled while it runs is dropped") {
        shop.handle("host.report") { job ->
            shop.jobs.cancel(job.id)
            3
        }
        val job = shop.jobs.enqueue(kind = "host.report")
        crm.runPending()
        val ended = shop.jobs.get(job.id)
        equal(ended.state, JobState.CANCELLED)
        equal(ended.result, null)
    }

    test("what JSON cannot hold is told, and the job ends without a result") {
        val failures = mutableListOf<CallbackFailure>()
        Crm.open("$folder/other.db", background = false, onError = { _, failure -> failures.add(failure) }).use { crm ->
            val shop = crm.project(crm.projects.create(name = "Acme").id)
            shop.handle("host.report") { Any() }
            val job = shop.jobs.enqueue(kind = "host.report")
            crm.runPending()
            val ended = shop.jobs.get(job.id)
            equal(ended.state to ended.result, JobState.SUCCEEDED to null)
            equal(failures.map { it.job?.id to it.retried }, listOf(job.id to false))
        }
    }

    test("jobs run side by side, and no more than there is room for") {
        val (running, most, ended) = List(3) { AtomicInteger() }
        crm.handle("host.report", concurrency = 3) {
            most.accumulateAndGet(running.incrementAndGet()) { a, b -> maxOf(a, b) }
            delay(20)
            running.decrementAndGet()
            ended.incrementAndGet()
        }
        repeat(12) { shop.jobs.enqueue(kind = "host.report") }
        crm.runPending()
        equal(most.get() to ended.get(), 3 to 12)
    }

    test("a handler may call, enqueue more, run what is pending and cancel itself") {
        val subscription = CompletableDeferred<Subscription>()
        subscription.complete(
            shop.handle("host.report") { job ->
                crm.runPending()
                shop.contacts.create(name = "Contact ${job.payload}")
                if (job.payload == 3L) subscription.await().cancel()
                shop.jobs.enqueue(kind = "host.report", payload = (job.payload as Long) + 1).id
            },
        )
        shop.jobs.enqueue(kind = "host.report", payload = 1)
        crm.runPending()
        equal(shop.contacts.list().all().map { it.name }.sorted(), listOf("Contact 1", "Contact 2", "Contact 3"))
    }

    test("the coroutine of a job that was lost is cancelled, and its place is free again") {
        val (began, quick) = List(2) { CompletableDeferred<Unit>() }
        val cancelled = CompletableDeferred<Throwable>()
        Crm.open("$folder/other.db", clock = clock).use { crm ->
            val shop = crm.project(crm.projects.create(name = "Acme").id)
            crm.handle("host.report", concurrency = 1) { job ->
                if (job.payload == "quick") return@handle quick.complete(Unit)
                began.complete(Unit)
                try {
                    awaitCancellation()
                } catch (left: CancellationException) {
                    cancelled.complete(left)
                    throw left
                }
            }
            val job = shop.jobs.enqueue(kind = "host.report")
            began.await()
            shop.jobs.cancel(job.id)
            shop.jobs.enqueue(kind = "host.report", payload = "quick")
            clock.advance(10.seconds)
            quick.await()
            cancelled.await()
            equal(shop.jobs.get(job.id).state, JobState.CANCELLED)
        }
    }

    test("close waits for jobs that run and hands back the others") {
        val (began, closing) = List(2) { CompletableDeferred<Unit>() }
        val place = "$folder/other.db"
        val crm = Crm.open(place)
        val shop = crm.project(crm.projects.create(name = "Acme").id)
        crm.handle("host.report", concurrency = 1) {
            began.complete(Unit)
            closing.await()
            shop.contacts.create(name = "made at the end").name
        }
        val first = shop.jobs.enqueue(kind = "host.report")
        began.await()
        val second = shop.jobs.enqueue(kind = "host.report")
        coroutineScope {
            val closed = async(Dispatchers.Default) { crm.close() }
            closing.complete(Unit)
            closed.await()
        }
        Crm.open(place, background = false).use { again ->
            val jobs = again.project(shop.id).jobs
            equal(jobs.get(first.id).result, "made at the end")
            val left = jobs.get(second.id)
            equal(left.state to left.attempts, JobState.SCHEDULED to 0L)
        }
    }

    test("a handler may close the CRM") {
        val closed = CompletableDeferred<Unit>()
        val crm = Crm.open("$folder/other.db")
        val shop = crm.project(crm.projects.create(name = "Acme").id)
        crm.handle("host.report") {
            crm.close()
            closed.complete(Unit)
        }
        shop.jobs.enqueue(kind = "host.report")
        closed.await()
    }

    test("wrong kinds and limits are refused") {
        equal(fails<ValidationError> { shop.handle("report") {} }.code, ErrorCode.JOB_KIND_UNKNOWN)
        equal(fails<ValidationError> { shop.handle("host.report", concurrency = 101) {} }.field, "concurrency")
        equal(fails<ValidationError> { shop.handle("host.report", timeout = 2.hours) {} }.field, "timeout_seconds")
    }
}
