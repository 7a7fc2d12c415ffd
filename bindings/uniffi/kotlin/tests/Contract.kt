// The scenarios of bindings/contract through the public methods: names, types, decoding. What the types cannot say, such
// as an unknown constant, goes to the engine as it is written.

import java.lang.reflect.InvocationTargetException
import java.nio.file.Path
import java.time.Instant
import kotlin.io.path.listDirectoryEntries
import kotlin.io.path.nameWithoutExtension
import kotlin.io.path.readText
import kotlin.reflect.KCallable
import kotlin.reflect.KParameter
import kotlin.reflect.full.callSuspendBy
import kotlin.reflect.full.memberFunctions
import kotlin.reflect.full.memberProperties
import kotlin.reflect.full.primaryConstructor
import kotlin.time.Duration.Companion.seconds
import ventros.Collection
import ventros.Command
import ventros.Crm
import ventros.ManualClock
import ventros.Pager
import ventros.Project
import ventros.VentrosError
import ventros.encode
import ventros.parse
import ventros.types.ProjectId
import ventros.types.UserId
import ventros.types.decodeActorRef
import ventros.use

private typealias Fields = Map<String, Any?>

private val FOLDER = Path.of(System.getProperty("bindings"), "contract")
private val OPERATIONS = items(read(Path.of(System.getProperty("bindings"), "catalogue.json"))["operations"]).associateBy { it["name"] as String }

fun contractTests() {
    val files = FOLDER.listDirectoryEntries("*.json").sorted()
    check(files.size > 5) { "the scenarios are missing" }
    val said = Said()
    for (path in files) {
        val file = read(path)
        for (scenario in items(file["scenarios"])) {
            plainTest("contract, ${path.nameWithoutExtension}: ${scenario["about"]}") {
                val clock = ManualClock(Instant.parse("2025-01-06T09:00:00Z"))
                val key = if (scenario["vault"] == false) null else ByteArray(32) { 7 }
                Crm.open(":memory:", clock = clock, background = false, encryptionKey = key, seed = 1, http = false).use { crm ->
                    val play = Play(crm, clock, said)
                    (items(file["given"] ?: emptyList<Any?>()) + items(scenario["steps"])).forEach { play.step(it) }
                }
            }
        }
    }
    plainTest("contract: nearly everything is said by the methods") {
        println("        ${said.byMethod} steps by method, ${said.asWritten} as they are written")
        check(said.asWritten * 20 < said.byMethod) { "a method takes less than it should" }
    }
}

private class Said(var byMethod: Int = 0, var asWritten: Int = 0)

private class Play(private val crm: Crm, private val clock: ManualClock, private val said: Said) {
    private val names = HashMap<String, Any?>()
    private var project = ""
    private var readers = 0

    /** Runs a step; what it answers must be what it says. */
    suspend fun step(step: Fields) {
        val times = step["times"] as Long?
        val steps = if (times == null) listOf(step) else List(times.toInt()) { fields(numbered(step, it)) }
        var output: Any? = null
        val outcome = try {
            for (one in steps) output = plain(run(one))
            fitted(output, step["then"]) to null
        } catch (error: VentrosError) {
            if (step["quiet"] == true) throw error
            null to plain(error)
        }
        (step["as"] as String?)?.let { names[it] = output }
        if (step["do"] == "projects.create") fieldsOrNull(output)?.let { project = it["id"] as String }
        if (step["quiet"] != true) same(step, outcome.first, step["then"])
        same(step, outcome.second, step["error"])
    }

    private fun same(step: Fields, actual: Any?, expected: Any?) {
        if (actual == expected) return
        val place = difference(actual, expected)
        throw AssertionError("${step["do"]} ${encode(step["input"])}: $place\nexpected ${encode(expected)}\nnot      ${encode(actual)}")
    }

    private suspend fun run(step: Fields): Any? {
        val input = fields(resolve(step["input"] ?: emptyMap<String, Any?>()))
        val crm = when (val by = step["by"]?.let(::resolve)) {
            null -> crm
            is String -> crm.actingAs(UserId(by))
            else -> crm.actingAs(decodeActorRef(by))
        }
        val project = crm.project(ProjectId(if ("in" in step) resolve(step["in"]) as String else project))
        val key = step["key"] as String?
        val version = step["expected_version"] as Long?
        return when (val operation = step["do"] as String) {
            "clock.advance" -> {
                clock.advance((input["seconds"] as Long).seconds)
                null
            }
            "run_pending" -> {
                crm.runPending()
                null
            }
            // As it is written: the client writes definitions and never reads them.
            "define_saga" -> crm.engine.call("engine.define_saga", encode(input), "{}")
            "events" -> events(project, input["of"] as String)
            "transact" -> transact(project, items(input["commands"]), key)
            else -> call(if (OPERATIONS.getValue(operation)["scope"] == "system") crm else project, operation, input, key, version)
        }
    }

    /** Calls the method, or the engine where the types cannot say the input. */
    private suspend fun call(handle: Collection, operation: String, input: Fields, key: String?, version: Long?): Any? {
        val (group, verb) = operation.split(".").map(::camel)
        val collection = handle::class.memberProperties.first { it.name == group }.getter.call(handle) as Collection
        val method = collection::class.memberFunctions.first { it.name == verb }
        val options = listOf("idempotency_key" to key, "expected_version" to version).filter { it.second != null }
        val arguments = try {
            arguments(method, input - "cursor" + options) + (method.parameters.first() to collection)
        } catch (_: Unsayable) {
            said.asWritten += 1
            val context = handle.scope.context(key, version)
            return handle.engine.call(operation, encode(input), context)
        }
        said.byMethod += 1
        val result = try {
            method.callSuspendBy(arguments)
        } catch (thrown: InvocationTargetException) {
            throw thrown.targetException
        }
        return if (result is Pager<*>) result.page(input["cursor"] as String?) else result
    }

    private suspend fun transact(project: Project, commands: List<Fields>, key: String?): Any {
        val listed = commands.map {
            val name = (it["do"] as String).split(".").joinToString("") { part -> camel(part).replaceFirstChar(Char::uppercase) }
            val constructor = checkNotNull(Class.forName("ventros.commands.$name").kotlin.primaryConstructor)
            constructor.callBy(arguments(constructor, fields(it["input"]))) as Command<*>
        }
        return project.transact(listed, idempotencyKey = key)
    }

    private suspend fun events(project: Project, pattern: String): List<Any?> {
        val heard = mutableListOf<Any?>()
        readers += 1
        val reading = project.subscribe("contract.$readers", events = listOf(pattern)) { heard.add(it) }
        crm.runPending()
        reading.cancel()
        return heard
    }

    private fun resolve(value: Any?): Any? = when {
        value is String -> {
            val whole = Regex("""\$\{([^$}]*)}""").matchEntire(value)
            if (whole != null) find(whole.groupValues[1])
            else Regex("""\$\{([^}]*)}""").replace(value) { Regex.escapeReplacement(find(it.groupValues[1]) as String) }
        }
        value is Map<*, *> && value["times"] is Long && value["repeat"] is String ->
            (value["repeat"] as String).repeat((value["times"] as Long).toInt())
        value is Map<*, *> && value["times"] is Long && "each" in value ->
            List((value["times"] as Long).toInt()) { numbered(value["each"], it) }
        else -> within(value, ::resolve)
    }

    private fun find(path: String): Any? {
        val parts = path.split(".")
        return parts.drop(1).fold(names[parts.first()]) { value, part ->
            if (value is List<*>) value[part.toInt()] else fields(value)[part]
        }
    }
}

/** What a method, or a class, is given for an input. */
internal fun arguments(of: KCallable<*>, input: Fields): Map<KParameter, Any?> {
    val parameters = of.parameters.filter { it.kind == KParameter.Kind.VALUE }.associateBy { it.name }
    val given = input.map { (name, value) ->
        val parameter = parameters[camel(name)] ?: throw Unsayable()
        parameter to typed(value, parameter.type)
    }.toMap()
    if (parameters.values.any { !it.isOptional && it !in given }) throw Unsayable()
    return given
}

private fun difference(actual: Any?, expected: Any?, path: String = ""): String = when {
    actual is Map<*, *> && expected is Map<*, *> ->
        (actual.keys + expected.keys).first { actual[it] != expected[it] || it !in actual || it !in expected }
            .let { if (it in actual && it in expected) difference(actual[it], expected[it], "$path.$it") else "$path.$it is in one only" }
    actual is List<*> && expected is List<*> && actual.size == expected.size ->
        actual.indices.first { actual[it] != expected[it] }.let { difference(actual[it], expected[it], "$path[$it]") }
    else -> "$path is ${encode(actual)}, not ${encode(expected)}"
}

private fun numbered(item: Any?, number: Int): Any? =
    if (item is String) item.replace("####", number.toString().padStart(4, '0')).replace("#", number.toString())
    else within(item) { numbered(it, number) }

private fun within(value: Any?, change: (Any?) -> Any?): Any? = when (value) {
    is List<*> -> value.map(change)
    is Map<*, *> -> value.mapValues { change(it.value) }
    else -> value
}

@Suppress("UNCHECKED_CAST") // The parser makes no other keys.
internal fun fieldsOrNull(json: Any?): Map<String, Any?>? = json as? Map<String, Any?>

private fun fields(json: Any?): Fields = checkNotNull(fieldsOrNull(json)) { "no object: $json" }

private fun items(json: Any?): List<Fields> = (json as List<*>).map(::fields)

private fun read(path: Path): Fields = fields(parse(path.readText()))

internal fun camel(name: String): String = Regex("_(.)").replace(name) { it.groupValues[1].uppercase() }
