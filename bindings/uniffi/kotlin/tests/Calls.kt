// Calls: the main job, typed errors, changes, pages, transactions, and what is left of a call that is given up.

import java.nio.file.Files
import java.nio.file.Path
import kotlin.io.path.listDirectoryEntries
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.TimeoutCancellationException
import kotlinx.coroutines.async
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.withTimeout
import ventros.ConflictError
import ventros.ErrorCode
import ventros.InternalError
import ventros.NotFoundError
import ventros.Project
import ventros.Raw
import ventros.ValidationError
import ventros.VentrosError
import ventros.commands.ContactsAddTag
import ventros.commands.ContactsCreate
import ventros.set
import ventros.types.*

fun callTests() {
    test("the main job: webhooks become conversations, and a second time changes nothing") {
        val line = shop.channels.create(name = "WhatsApp", type = "waha").id
        val payloads = Path.of(System.getProperty("payloads")).listDirectoryEntries("*.json").sorted()
        check(payloads.size > 20) { "the payloads of the quickstart are missing" }
        val outcomes = payloads.flatMap { shop.inbound.ingest(channelId = line, raw = Raw(Files.readAllBytes(it))) }
        check(outcomes.any { it is OutcomeRecorded })
        crm.runPending()
        val messages = shop.messages.list(limit = 5).all()
        check(messages.size > 10) { "only ${messages.size} messages" }
        equal(messages.size.toLong(), shop.messages.count())
        check(messages.any { (it.content as? ContentText)?.body?.isNotEmpty() == true })
        val chats = shop.chats.list().all()
        check(chats.size >= 2)
        payloads.forEach { shop.inbound.ingest(channelId = line, raw = Raw(Files.readAllBytes(it))) }
        crm.runPending()
        equal(shop.messages.count(), messages.size.toLong())
    }

    test("an error is of the class of its kind and carries code, field and details") {
        val error = fails<ValidationError> { shop.contacts.create(name = "Ana", email = "nowhere") }
        equal(error.code, ErrorCode.EMAIL_INVALID)
        equal(error.field, "email")
        val absent = fails<NotFoundError> { shop.contacts.get(ContactId("01890000-0000-7000-8000-000000000000")) }
        equal(absent.code, ErrorCode.CONTACT_NOT_FOUND)
        val kind: VentrosError = absent
        check(kind.message!!.startsWith("contact_not_found")) { kind.message!! }
    }

    test("another project answers not_found") {
        val ana = shop.contacts.create(name = "Ana", email = "ana@example.com")
        val other = crm.project(crm.projects.create(name = "Other").id)
        fails<NotFoundError> { other.contacts.get(ana.id) }
    }

    test("a change tells absent, null and a value apart") {
        val ana = shop.contacts.create(name = "Ana", email = "ana@example.com", company = "Acme")
        val kept = shop.contacts.update(ana.id, jobTitle = set("Buyer"))
        equal(kept.company, "Acme")
        equal(kept.jobTitle, "Buyer")
        val emptied = shop.contacts.update(ana.id, company = set(null))
        equal(emptied.company, null)
        equal(emptied.jobTitle, "Buyer")
        equal(emptied.createdAt, clock.now())
    }

    test("an expected version and an idempotency key reach the engine") {
        val ana = shop.contacts.create(name = "Ana", idempotencyKey = "first", email = "ana@example.com")
        equal(shop.contacts.create(name = "Ana", idempotencyKey = "first", email = "ana@example.com").id, ana.id)
        shop.contacts.addTag(ana.id, "vip", expectedVersion = ana.version)
        val late = fails<ConflictError> { shop.contacts.addTag(ana.id, "late", expectedVersion = ana.version) }
        equal(late.code, ErrorCode.VERSION_CONFLICT)
    }

    test("a list is a flow that fetches its pages") {
        repeat(5) { shop.contacts.create(name = "Contact $it", phone = "+551190000000$it") }
        val all = shop.contacts.list(limit = 2, sort = listOf(SortKey(field = "name"))).toList()
        equal(all.map { it.name }, List(5) { "Contact $it" })
        equal(shop.contacts.list(limit = 2).take(3).toList().size, 3)
        val page = shop.contacts.list(limit = 2).page()
        equal(page.items.size, 2)
        check(page.hasMore && page.nextCursor != null)
        val named = FilterExpressionField(field = "name", op = Operator.EQ, value = "Contact 3")
        equal(shop.contacts.list(filter = named).all().single().name, "Contact 3")
    }

    test("a transaction is all or nothing") {
        val both = listOf(ContactsCreate(name = "Ana", phone = "+5511900000001"), ContactsCreate(name = "Bia", phone = "+5511900000002"))
        val (ana, bia) = shop.transact(both).map { it as Contact }
        equal(listOf(ana.name, bia.name), listOf("Ana", "Bia"))
        fails<ValidationError> { shop.transact(listOf(ContactsAddTag(ana.id, "vip"), ContactsAddTag(ana.id, ""))) }
        equal(shop.contacts.get(ana.id).tags, emptyList<String>())
    }

    test("a user sees what a user may see") {
        val user = crm.users.create(name = "Caio", email = "caio@example.com")
        fails<VentrosError> { shop.actingAs(user.id).contacts.create(name = "Ana", phone = "+5511900000001") }
        equal(shop.contacts.count(), 0L)
    }

    test("a panic becomes an error and the engine goes on") {
        val error = fails<InternalError> { shop.panic() }
        equal(error.code, ErrorCode.INTERNAL)
        check("a test asked for it" in error.message!!) { error.message!! }
        equal(shop.contacts.count(), 0L)
    }

    test("a cancelled coroutine gives its call up") {
        val began = System.nanoTime()
        fails<TimeoutCancellationException> { withTimeout(50.milliseconds) { shop.sleep() } }
        check(System.nanoTime() - began < 10_000_000_000)
        equal(shop.contacts.count(), 0L)
    }

    test("closing ends waiting calls, twice is fine, and calls afterwards are refused") {
        coroutineScope {
            val waiting = async(start = CoroutineStart.UNDISPATCHED) { runCatching { shop.sleep() }.exceptionOrNull() }
            crm.close()
            crm.close()
            equal((waiting.await() as VentrosError).code, ErrorCode.CLOSED)
        }
        equal(fails<VentrosError> { shop.contacts.count() }.code, ErrorCode.CLOSED)
    }
}

/** What a defect of the engine looks like from outside. */
private suspend fun Project.panic() = ask("engine.panic")

/** A call that takes a minute. */
private suspend fun Project.sleep() = ask("engine.sleep")
