// JSON as the values of the public types, and those values as JSON again, by reflection: the runner of the contract.

import java.time.Instant
import java.time.LocalDate
import java.time.ZoneOffset
import java.time.format.DateTimeFormatter
import java.time.format.DateTimeParseException
import kotlin.reflect.KClass
import kotlin.reflect.KType
import kotlin.reflect.full.isSubclassOf
import kotlin.reflect.full.memberProperties
import kotlin.reflect.full.primaryConstructor
import kotlin.reflect.full.superclasses
import ventros.Event
import ventros.Patch
import ventros.Raw
import ventros.VentrosError
import ventros.Wire
import ventros.events.CustomEvent
import ventros.events.EventData

/** The public types have no value for this. */
internal class Unsayable : Exception()

/** A value of the type that the JSON means. */
internal fun typed(json: Any?, type: KType): Any? {
    val kind = type.classifier as KClass<*>
    fun inner(value: Any?, at: Int) = typed(value, checkNotNull(type.arguments[at].type))
    if (kind == Patch::class) return Patch.Set(inner(json, 0))
    if (json == null) return if (type.isMarkedNullable) null else throw Unsayable()
    return when (kind) {
        Any::class -> json
        Raw::class -> Raw.of(json)
        Double::class -> (json as? Number)?.toDouble() ?: throw Unsayable()
        List::class -> (json as? List<*> ?: throw Unsayable()).map { inner(it, 0) }
        Map::class -> (json as? Map<*, *> ?: throw Unsayable()).mapValues { inner(it.value, 1) }
        Instant::class -> dated(json, Instant::parse)
        LocalDate::class -> dated(json, LocalDate::parse)
        String::class, Boolean::class, Long::class -> if (kind.isInstance(json)) json else throw Unsayable()
        else -> built(json, kind)
    }
}

private fun <T> dated(json: Any?, parse: (String) -> T): T = try {
    parse(json as? String ?: throw Unsayable())
} catch (_: DateTimeParseException) {
    throw Unsayable()
}

private fun built(json: Any?, kind: KClass<*>): Any {
    if (kind.isSubclassOf(Enum::class)) {
        return kind.java.enumConstants.find { (it as Wire).toJson() == json } ?: throw Unsayable()
    }
    if (kind.isValue) return constructed(kind, mapOf("value" to (json as? String ?: throw Unsayable())))
    val fields = fieldsOrNull(json) ?: throw Unsayable()
    if (!kind.isSealed) return constructed(kind, fields)
    val tag = fields["type"] as? String
    if (tag != null) return constructed(variant(kind, tag) ?: throw Unsayable(), fields - "type")
    val variant = kind.sealedSubclasses.firstOrNull { variant ->
        variant.primaryConstructor?.parameters.orEmpty().any { !it.isOptional && it.name in fields }
    }
    return constructed(variant ?: throw Unsayable(), fields)
}

private fun variant(kind: KClass<*>, tag: String): KClass<*>? =
    kind.sealedSubclasses.find { it.simpleName == kind.simpleName + camel("_$tag") }

private fun constructed(kind: KClass<*>, fields: Map<String, Any?>): Any {
    kind.objectInstance?.let { return if (fields.isEmpty()) it else throw Unsayable() }
    val constructor = checkNotNull(kind.primaryConstructor) { "$kind has no constructor" }
    return constructor.callBy(arguments(constructor, fields))
}

/** What the engine wrote before it was decoded; an absent field and null are the same here. */
internal fun plain(value: Any?): Any? = when (value) {
    Unit -> null
    null, is String, is Boolean, is Number -> value
    is Instant -> MICROS.format(value)
    is LocalDate, is Enum<*> -> value.toString()
    is Raw -> value.toJson()
    is List<*> -> value.map(::plain)
    is Map<*, *> -> value.mapValues { plain(it.value) }
    is VentrosError -> body(value)
    is Event<*> -> members(value) + ("data" to mapOf("type" to value.type) + members(value.data))
    is CustomEvent -> plain(value.data)
    else -> if (value::class.isValue) (value as Wire).toJson() else tag(value::class) + members(value)
}

private fun body(error: VentrosError): Map<String, Any?> = mapOf(
    "kind" to KINDS.getOrElse(checkNotNull(error::class.simpleName)) { snake(error::class.simpleName!!.removeSuffix("Error")) },
    "code" to error.code.toString(),
    "message" to error.failure.message,
    "field" to error.field,
    "details" to error.details,
    "errors" to error.errors.map(::body),
)

/** How a variant names itself. */
private fun tag(kind: KClass<*>): Map<String, Any?> {
    val union = kind.superclasses.find { it.isSealed && it != EventData::class } ?: return emptyMap()
    return mapOf("type" to snake(kind.simpleName!!.removePrefix(union.simpleName!!)))
}

private fun members(of: Any): Map<String, Any?> {
    if (of::class.objectInstance != null) return emptyMap()
    val properties = of::class.memberProperties.associateBy { it.name }
    val parameters = checkNotNull(of::class.primaryConstructor) { "${of::class} has no constructor" }.parameters
    val values = parameters.associate { snake(it.name!!) to properties.getValue(it.name!!).getter.call(of) }
    return values.filterValues { it != Patch.Keep }.mapValues { (_, value) -> plain(if (value is Patch.Set<*>) value.value else value) }
}

/** Without the nulls where nothing was expected: a field that the engine left out is null. */
internal fun fitted(value: Any?, expected: Any?): Any? = when {
    value is Map<*, *> && expected is Map<*, *> ->
        value.filter { it.value != null || it.key in expected }.mapValues { fitted(it.value, expected[it.key]) }
    value is List<*> && expected is List<*> && value.size == expected.size ->
        value.zip(expected) { inner, other -> fitted(inner, other) }
    else -> value
}

private fun snake(name: String): String = Regex("(?<=.)[A-Z]").replace(name) { "_${it.value}" }.lowercase()

private val MICROS = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSSSSS'Z'").withZone(ZoneOffset.UTC)

/** Kinds that are no class's name. */
private val KINDS = mapOf("OperationTimeoutError" to "timeout")
