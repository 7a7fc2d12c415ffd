// JSON as plain values, and the readers that the generated code is made of.

package ventros

import java.math.BigInteger
import java.time.Instant
import java.time.LocalDate
import java.time.temporal.ChronoUnit

/**
 * What can be written as JSON: generated types say themselves how.
 *
 * Free JSON is `Any?` everywhere: a `Map` with text keys, a `List`, a `String`, a number, a `Boolean` or null.
 */
public interface Wire {
    /** The value as JSON holds it. */
    public fun toJson(): Any?
}

/** The fields of an object that is being written. */
public class Fields internal constructor() {
    internal val jsonFields: MutableMap<String, Any?> = LinkedHashMap()

    /** A field that is always there. */
    internal fun put(name: String, value: Any?) {
        jsonFields[name] = value
    }

    /** A field that is left out when it is null. */
    internal fun given(name: String, value: Any?) {
        if (value != null) jsonFields[name] = value
    }

    /** A field that is left out unless it changes. */
    internal fun patch(name: String, value: Patch<*>) {
        if (value is Patch.Set) jsonFields[name] = value.value
    }
}

internal inline fun fields(write: Fields.() -> Unit): Map<String, Any?> = Fields().apply(write).jsonFields

/** Writes values as JSON. A number that is none would silently become null, so it is refused. */
internal fun encode(value: Any?): String = StringBuilder().also { write(value, it) }.toString()

private fun write(value: Any?, out: StringBuilder) {
    when (value) {
        null -> out.append("null")
        is String -> quote(value, out)
        is Boolean, is Long, is Int, is Short, is Byte, is BigInteger -> out.append(value.toString())
        is Double -> out.append(if (value.isFinite()) value.toString() else throw IllegalArgumentException("$value is not a number"))
        is Number -> write(value.toDouble(), out)
        is Wire -> write(value.toJson(), out)
        is Instant -> quote(value.truncatedTo(ChronoUnit.MICROS).toString(), out)
        is LocalDate -> quote(value.toString(), out)
        is Map<*, *> -> {
            var mark = '{'
            for ((key, inner) in value) {
                out.append(mark)
                quote(key as? String ?: throw IllegalArgumentException("the key $key is no text"), out)
                out.append(':')
                write(inner, out)
                mark = ','
            }
            out.append(if (mark == '{') "{}" else "}")
        }
        is Iterable<*> -> {
            var mark = '['
            for (inner in value) {
                out.append(mark)
                write(inner, out)
                mark = ','
            }
            out.append(if (mark == '[') "[]" else "]")
        }
        else -> throw IllegalArgumentException("JSON cannot hold a ${value::class.java.name}")
    }
}

private fun quote(text: String, out: StringBuilder) {
    out.append('"')
    for (char in text) {
        when {
            char == '"' || char == '\\' -> out.append('\\').append(char)
            char == '\n' -> out.append("\\n")
            char < ' ' || char.isSurrogate() -> out.append("\\u").append(char.code.toString(16).padStart(4, '0'))
            else -> out.append(char)
        }
    }
    out.append('"')
}

/** Reads JSON into values: whole numbers as `Long`, or `BigInteger` beyond it, others as `Double`. */
internal fun parse(text: String): Any? = Parser(text).document()

private class Parser(private val text: String) {
    private var at = 0

    fun document(): Any? {
        val value = value()
        space()
        if (at != text.length) fail()
        return value
    }

    private fun value(): Any? {
        space()
        return when (if (at < text.length) text[at] else fail()) {
            '{' -> members()
            '[' -> items()
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> number()
        }
    }

    private fun members(): Map<String, Any?> {
        val map = LinkedHashMap<String, Any?>()
        at += 1
        if (next('}')) return map
        do {
            space()
            val key = string()
            if (!next(':')) fail()
            map[key] = value()
        } while (next(','))
        if (!next('}')) fail()
        return map
    }

    private fun items(): List<Any?> {
        val list = ArrayList<Any?>()
        at += 1
        if (next(']')) return list
        do list.add(value()) while (next(','))
        if (!next(']')) fail()
        return list
    }

    private fun string(): String {
        if (at >= text.length || text[at] != '"') fail()
        var start = ++at
        var built: StringBuilder? = null
        while (at < text.length) {
            when (text[at]) {
                '"' -> {
                    val rest = text.substring(start, at++)
                    return built?.append(rest)?.toString() ?: rest
                }
                '\\' -> {
                    val before = built ?: StringBuilder().also { built = it }
                    before.append(text, start, at).append(escaped())
                    start = at
                }
                else -> at += 1
            }
        }
        fail()
    }

    private fun escaped(): Char {
        val char = text.getOrElse(at + 1) { fail() }
        at += 2
        return when (char) {
            '"', '\\', '/' -> char
            'n' -> '\n'
            't' -> '\t'
            'r' -> '\r'
            'b' -> '\b'
            'f' -> '\u000c'
            'u' -> {
                at += 4
                if (at > text.length) fail()
                (text.substring(at - 4, at).toIntOrNull(16) ?: fail()).toChar()
            }
            else -> fail()
        }
    }

    private fun number(): Number {
        val start = at
        while (at < text.length && (text[at].isLetterOrDigit() || text[at] in "+-.")) at += 1
        val digits = text.substring(start, at)
        return digits.toLongOrNull() ?: digits.toBigIntegerOrNull() ?: digits.toDoubleOrNull() ?: fail()
    }

    private fun <T> word(word: String, value: T): T {
        if (!text.startsWith(word, at)) fail()
        at += word.length
        return value
    }

    private fun next(char: Char): Boolean {
        space()
        if (at >= text.length || text[at] != char) return false
        at += 1
        return true
    }

    private fun space() {
        while (at < text.length && text[at] in " \n\r\t") at += 1
    }

    private fun fail(): Nothing = throw IllegalArgumentException("no JSON at character $at")
}

internal fun text(json: Any?): String = json as? String ?: unexpected("text", json)

internal fun boolean(json: Any?): Boolean = json as? Boolean ?: unexpected("true or false", json)

internal fun long(json: Any?): Long = json as? Long ?: unexpected("whole number", json)

internal fun double(json: Any?): Double = (json as? Number)?.toDouble() ?: unexpected("number", json)

internal fun instant(json: Any?): Instant = Instant.parse(text(json))

internal fun day(json: Any?): LocalDate = LocalDate.parse(text(json))

internal inline fun <T> list(json: Any?, item: (Any?) -> T): List<T> =
    (json as? List<*> ?: unexpected("list", json)).map(item)

internal inline fun <T> map(json: Any?, value: (Any?) -> T): Map<String, T> = record(json).mapValues { value(it.value) }

internal fun record(json: Any?): Map<String, Any?> {
    @Suppress("UNCHECKED_CAST") // The parser makes no other keys.
    return json as? Map<String, Any?> ?: unexpected("object", json)
}

internal inline fun <T> page(json: Any?, item: (Any?) -> T): Page<T> {
    val from = record(json)
    return Page(
        items = list(from["items"], item),
        nextCursor = from["next_cursor"]?.let(::text),
        prevCursor = from["prev_cursor"]?.let(::text),
        hasMore = from["has_more"]?.let(::boolean) ?: false,
        total = from["total"]?.let(::long),
    )
}

/** A field of a change: [Patch.Keep] when it is absent. */
internal inline fun <T> patch(from: Map<String, Any?>, name: String, value: (Any?) -> T): Patch<T> =
    if (name in from) Patch.Set(value(from[name])) else Patch.Keep

/** The engine and this client are of one version, so this is a defect of one of them. */
internal fun unexpected(wanted: String, json: Any?): Nothing =
    throw IllegalStateException("expected a $wanted from the engine, not ${encode(json).take(80)}")
