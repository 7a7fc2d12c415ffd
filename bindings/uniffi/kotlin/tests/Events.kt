// Events: live and durable, as callbacks and as flows, with handlers that throw, cancel and close.

import java.util.concurrent.atomic.AtomicReference
import kotlin.time.Duration.Companion.hours
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeout
import ventros.CallbackFailure
import ventros.Crm
import ventros.ErrorCode
import ventros.Event
import ventros.Patch
import ventros.Start
import ventros.ValidationError
import ventros.VentrosError
import ventros.events.ContactCreated
import ventros.events.ContactTagAdded
import ventros.events.ProjectDetailsUpdated
import ventros.set
import ventros.types.ContactId
import ventros.use

private suspend fun World.contact(at: Int) = shop.contacts.create(name = "Contact $at", phone = "+551190000000$at")

fun eventTests() {
    test("what callbacks and handlers do is part of the flow") {
        val heard = mutableListOf<Event<*>>()
        shop.subscribe("greeter", listOf("contact.created")) { event ->
            if ((event.data as ContactCreated).name == "Ana") {
                shop.contacts.addTag(ContactId(event.aggregateId), tag = "new", expectedVersion = 1)
                shop.jobs.enqueue(kind = "host.greet")
            }
        }
        shop.handle("host.greet") { shop.contacts.create(name = "Bia").id.value }
        shop.subscribe("all", listOf("contact.*")) { event -> heard.add(event) }
        shop.contacts.create(name = "Ana")
        crm.runPending()
        val first = heard.first()
        equal(heard.map { it.type }, listOf("contact.created", "contact.tag_added", "contact.created"))
        for (event in heard.drop(1)) equal(event.correlationId to event.causationId, first.correlationId to first.id)
        shop.causedBy(heard[1]).contacts.create(name = "Davi")
        shop.contacts.create(name = "Caio")
        crm.runPending()
        equal(heard.drop(3).map { it.causationId }, listOf(heard[1].id, null))
    }

    test("a live callback hears what happens, typed, in order, until it is cancelled") {
        val heard = mutableListOf<String>()
        val subscription = shop.on(ContactCreated) { event -> heard.add(event.data.name) }
        val all = mutableListOf<String>()
        shop.on("contact.*") { event ->
            when (val data = event.data) {
                is ContactCreated -> all.add("created ${data.name}")
                is ContactTagAdded -> all.add("tagged ${data.tag}")
                else -> Unit
            }
        }
        val first = contact(1)
        shop.contacts.addTag(first.id, "vip")
        contact(2)
        crm.runPending()
        equal(heard, listOf("Contact 1", "Contact 2"))
        equal(all, listOf("created Contact 1", "tagged vip", "created Contact 2"))
        subscription.cancel()
        contact(3)
        crm.runPending()
        equal(heard, listOf("Contact 1", "Contact 2"))
    }

    test("an event says what changed, and what is absent from it stayed") {
        val changes = mutableListOf<ProjectDetailsUpdated>()
        shop.on(ProjectDetailsUpdated) { changes.add(it.data) }
        shop.projects.update(description = set("Shoes"))
        shop.projects.update(name = set("Acme Ltd"), description = set(null))
        crm.runPending()
        equal(changes.map { it.description }, listOf(Patch.Set("Shoes"), Patch.Set("")))
        equal(changes.map { it.name }, listOf(Patch.Keep, Patch.Set("Acme Ltd")))
    }

    test("a throwing live callback is reported and the next event comes") {
        val failures = mutableListOf<Pair<Throwable, CallbackFailure>>()
        Crm.open("$folder/other.db", background = false, onError = { error, failure -> failures.add(error to failure) }).use { crm ->
            val shop = crm.project(crm.projects.create(name = "Acme").id)
            var calls = 0
            shop.on("contact.created") { if (calls++ == 0) error("not now") }
            shop.contacts.create(name = "Ana", email = "ana@example.com")
            shop.contacts.create(name = "Bia", email = "bia@example.com")
            crm.runPending()
            equal(calls, 2)
            val (error, failure) = failures.single()
            equal(error.message, "not now")
            equal(failure.event?.type, "contact.created")
            equal(failure.retried, false)
        }
    }

    test("a durable callback that throws gets the event again and loses none") {
        val heard = mutableListOf<String>()
        var throws = true
        contact(1)
        shop.subscribe("billing", events = listOf("contact.created")) { event ->
            val name = (event.data as ContactCreated).name
            if (name == "Contact 2" && throws) {
                throws = false
                error("the other system is down")
            }
            heard.add(name)
        }
        contact(2)
        contact(3)
        crm.runPending()
        equal(heard, listOf("Contact 1"))
        clock.advance(1.hours)
        crm.runPending()
        equal(heard, listOf("Contact 1", "Contact 2", "Contact 3"))
    }

    test("a durable name goes on where it stopped, and a new one begins where it is told") {
        val heard = mutableListOf<Long>()
        contact(1)
        shop.subscribe("ledger", events = listOf("contact.created")) { heard.add(it.seq) }.also {
            crm.runPending()
            it.cancel()
        }
        contact(2)
        shop.subscribe("ledger", events = listOf("contact.created")) { heard.add(it.seq) }
        crm.runPending()
        equal(heard.size, 2)
        check(heard[0] < heard[1])
        val late = mutableListOf<Long>()
        shop.subscribe("late", listOf("contact.created"), Start.After(heard[0])) { late.add(it.seq) }
        shop.subscribe("now", listOf("contact.created"), Start.Now) { late.add(-it.seq) }
        crm.runPending()
        equal(late, listOf(heard[1]))
    }

    test("a flow acknowledges what its collector returned from, and nothing else") {
        Crm.open("$folder/other.db").use { crm ->
            val shop = crm.project(crm.projects.create(name = "Acme").id)
            repeat(4) { shop.contacts.create(name = "Contact $it", email = "c$it@example.com") }
            val events = shop.subscribe("reader", events = listOf("contact.created"))
            suspend fun next() = (events.first().data as ContactCreated).name
            // first() takes no more, so nothing is acknowledged.
            equal(next(), "Contact 0")
            equal(next(), "Contact 0")
            // take(3) returns from two events and leaves with the third.
            equal(events.take(3).toList().size, 3)
            equal(next(), "Contact 2")
        }
    }

    test("a flow whose collector throws ends with what was thrown, and the event comes again") {
        coroutineScope {
            repeat(2) { contact(it) }
            val heard = mutableListOf<String>()
            suspend fun read(fail: Boolean) = shop.subscribe("reader", events = listOf("contact.created")).collect { event ->
                heard.add((event.data as ContactCreated).name)
                if (fail) error("not now")
            }
            val failing = async(Dispatchers.Default) { runCatching { read(fail = true) }.exceptionOrNull() }
            while (!failing.isCompleted) crm.runPending()
            equal(failing.await()?.message, "not now")
            clock.advance(1.hours)
            val reading = launch(Dispatchers.Default) { read(fail = false) }
            while (synchronized(heard) { heard.size } < 3) crm.runPending()
            equal(heard, listOf("Contact 0", "Contact 0", "Contact 1"))
            // The flow ends when the CRM is closed.
            crm.close()
            reading.join()
        }
    }

    test("a live flow gives typed events while it is collected") {
        Crm.open("$folder/other.db").use { crm ->
            val shop = crm.project(crm.projects.create(name = "Acme").id)
            coroutineScope {
                val listening = CompletableDeferred<Unit>()
                // The callback hears the same log: what it has heard, the flow that subscribed before it hears too.
                val name = async(start = CoroutineStart.UNDISPATCHED) { shop.on(ContactCreated).first().data.name }
                shop.on("*") { listening.complete(Unit) }
                while (!name.isCompleted) {
                    shop.contacts.create(name = "Ana")
                    listening.await()
                }
                equal(name.await(), "Ana")
            }
        }
    }

    test("a callback may call, cancel itself and close") {
        val answer = CompletableDeferred<Long>()
        val subscription = AtomicReference<ventros.Subscription>()
        var calls = 0
        subscription.set(
            shop.on("contact.created") {
                calls += 1
                subscription.get().cancel()
                answer.complete(shop.contacts.count())
            },
        )
        contact(1)
        crm.runPending()
        equal(answer.await(), 1L)
        contact(2)
        crm.runPending()
        equal(calls, 1)
        val closed = CompletableDeferred<Unit>()
        shop.on("contact.created") {
            crm.close()
            closed.complete(Unit)
        }
        contact(3)
        runCatching { crm.runPending() }
        closed.await()
        equal((runCatching { shop.contacts.count() }.exceptionOrNull() as VentrosError).code, ErrorCode.CLOSED)
    }

    test("a background CRM calls back by itself and loses none of many events") {
        Crm.open("$folder/other.db").use { crm ->
            val shop = crm.project(crm.projects.create(name = "Acme").id)
            val count = 300
            val heard = mutableListOf<Long>()
            val done = CompletableDeferred<Unit>()
            shop.on("contact.created") {
                heard.add(it.seq)
                if (heard.size == count) done.complete(Unit)
            }
            repeat(count) { shop.contacts.create(name = "Contact $it") }
            withTimeout(30_000) { done.await() }
            equal(heard, heard.sorted())
        }
    }

    test("what cannot be subscribed is refused with a typed error") {
        val error = fails<ValidationError> { shop.on("no.such.event") { } }
        check(error.code.toString().isNotEmpty())
        fails<VentrosError> { shop.subscribe("", handler = { }) }
    }
}
