// Runs every test in turn and closes with a count; any failure fails the program.

import java.nio.file.Files
import java.nio.file.Path
import java.time.Instant
import kotlin.system.exitProcess
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import ventros.Crm
import ventros.ManualClock
import ventros.Project
import ventros.use

/** What a test may use: an open CRM with a manual clock that works only when told, and one project. */
class World(val crm: Crm, val shop: Project, val clock: ManualClock, val folder: Path)

val tests = LinkedHashMap<String, suspend () -> Unit>()

fun test(name: String, body: suspend World.() -> Unit) {
    plainTest(name) {
        val folder = Files.createTempDirectory("ventros")
        val clock = ManualClock(Instant.parse("2026-03-01T12:00:00Z"))
        Crm.open("$folder/crm.db", clock = clock, background = false).use { crm ->
            val acme = crm.projects.create(name = "Acme", defaultRegion = "BR")
            World(crm, crm.project(acme.id), clock, folder).body()
        }
        folder.toFile().deleteRecursively()
    }
}

/** A test that opens what it wants itself. */
fun plainTest(name: String, body: suspend () -> Unit) {
    check(name !in tests) { "two tests are named $name" }
    tests[name] = body
}

fun equal(actual: Any?, expected: Any?) {
    if (actual != expected) throw AssertionError("expected $expected, not $actual")
}

/** What `body` throws, which must be an [E]. */
inline fun <reified E : Throwable> fails(body: () -> Unit): E {
    try {
        body()
    } catch (thrown: Throwable) {
        return thrown as? E ?: throw AssertionError("expected ${E::class.simpleName}, not $thrown", thrown)
    }
    throw AssertionError("expected ${E::class.simpleName}, but nothing was thrown")
}

fun main() {
    callTests()
    eventTests()
    handlerTests()
    sagaTests()
    processTests()
    copyingTests()
    contractTests()
    var failed = 0
    for ((name, body) in tests) {
        try {
            runBlocking { withTimeout(60.seconds) { body() } }
            println("ok      $name")
        } catch (thrown: Throwable) {
            failed += 1
            println("FAILED  $name\n${thrown.stackTraceToString()}")
        }
    }
    println("${tests.size - failed} passed, $failed failed")
    exitProcess(if (failed == 0) 0 else 1)
}
