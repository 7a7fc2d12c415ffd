// Procedures of several steps: defined here, carried on by the background work, with jobs done by handlers.

import kotlin.time.Duration.Companion.minutes
import ventros.NotFoundError
import ventros.types.SagaDefinition
import ventros.types.SagaInputField
import ventros.types.SagaInputType
import ventros.types.SagaStatus
import ventros.types.StepActionCommand
import ventros.types.StepActionJob
import ventros.types.StepActionWait
import ventros.types.StepCompensation
import ventros.types.StepDefinition

private fun from(path: String) = mapOf("\$from" to path)

/** An account at a provider, a contact of ours, and somebody's word that all is well. */
private val setup = SagaDefinition(
    kind = "host.setup",
    input = mapOf("name" to SagaInputField(type = SagaInputType.TEXT, required = true)),
    steps = listOf(
        StepDefinition(
            id = "account",
            run = StepActionJob(kind = "host.make_account", payload = mapOf("name" to from("input.name"))),
            compensate = StepCompensation(
                run = StepActionJob(kind = "host.remove_account", payload = mapOf("id" to from("data.account.id"))),
            ),
        ),
        StepDefinition(
            id = "contact",
            run = StepActionCommand(operation = "contacts.create", input = mapOf("name" to from("input.name"))),
            compensate = StepCompensation(
                run = StepActionCommand(operation = "contacts.delete", input = mapOf("id" to from("data.contact.id"))),
            ),
        ),
        StepDefinition(id = "approval", run = StepActionWait(signal = "approved"), timeoutSeconds = 900),
    ),
)

fun sagaTests() {
    test("a saga is done step by step") {
        crm.defineSaga(setup)
        crm.handle("host.make_account") { mapOf("id" to "acct_9") }
        val started = shop.sagas.start(kind = "host.setup", key = "acct1", input = mapOf("name" to "Ana"))
        equal(started.created, true)
        crm.runPending()
        equal(shop.sagas.get(started.saga.id).status, SagaStatus.WAITING)
        shop.sagas.signal(kind = "host.setup", key = "acct1", name = "approved", data = mapOf("by" to "Bo"))
        crm.runPending()
        val ended = shop.sagas.get(started.saga.id)
        equal(ended.status, SagaStatus.COMPLETED)
        equal(ended.output, mapOf("by" to "Bo"))
        equal(ended.steps.map { it.step }, listOf("account", "contact", "approval"))
    }

    test("what a saga has done is undone") {
        val removed = mutableListOf<Any?>()
        crm.defineSaga(setup)
        crm.handle("host.make_account") { mapOf("id" to "acct_9") }
        crm.handle("host.remove_account") { removed.add(it.payload) }
        val started = shop.sagas.start(kind = "host.setup", key = "acct1", input = mapOf("name" to "Ana"))
        crm.runPending()
        clock.advance(15.minutes)
        crm.runPending()
        equal(shop.sagas.get(started.saga.id).status, SagaStatus.COMPENSATED)
        equal(removed, listOf<Any?>(mapOf("id" to "acct_9")))
    }

    test("what is wrong with a saga is told with its place") {
        val wrong = SagaDefinition(
            kind = "host.setup",
            steps = listOf(StepDefinition(id = "one", run = StepActionCommand(operation = "contacts.get"))),
        )
        val refused = fails<NotFoundError> { crm.defineSaga(wrong) }
        equal(refused.field, "steps[0].run.operation")
    }
}
