// Processes: one that listens and does not close ends when its work is done, and data is there for the next.

import java.nio.file.Path
import java.util.concurrent.TimeUnit
import kotlinx.coroutines.runBlocking
import ventros.Crm
import ventros.Raw
import ventros.use

/** A program that opens, listens, writes and returns without closing. */
object Careless {
    @JvmStatic
    fun main(arguments: Array<String>): Unit = runBlocking {
        val crm = Crm.open(arguments[0])
        val shop = crm.project(crm.projects.create(name = "Acme", slug = "acme").id)
        shop.on("*") { println(it.type) }
        shop.contacts.create(name = "Ana")
    }
}

fun processTests() {
    test("a process that listens and does not close ends, and what it wrote is kept") {
        val java = Path.of(System.getProperty("java.home"), "bin", "java").toString()
        val settings = listOf("jna.library.path", "jna.boot.library.path").mapNotNull { key -> System.getProperty(key)?.let { "-D$key=$it" } }
        val command = listOf(java) + settings + listOf("-cp", System.getProperty("java.class.path"), "Careless", "$folder/kept.db")
        val output = folder.resolve("output").toFile()
        val process = ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output).start()
        if (!process.waitFor(40, TimeUnit.SECONDS)) {
            process.destroyForcibly()
            throw AssertionError("it goes on")
        }
        check(process.exitValue() == 0) { output.readText() }
        Crm.open("$folder/kept.db").use { kept ->
            val acme = checkNotNull(kept.projects.find(slug = "acme"))
            equal(kept.project(acme.id).contacts.list().all().single().name, "Ana")
        }
    }

    test("bytes that are no text are refused where they are given") {
        fails<java.nio.charset.CharacterCodingException> { Raw(byteArrayOf(0xff.toByte())) }
    }
}
