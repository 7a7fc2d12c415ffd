// The data that crosses to the engine and back, as far as it is not generated.

package ventros

import java.nio.ByteBuffer
import java.time.Instant
import ventros.events.EventData
import ventros.types.ActorRef
import ventros.types.ProjectId

/** A field of a change. Keeping a field and setting it to null mean two different things. */
public sealed interface Patch<out T> {
    /** The field stays as it is. */
    public data object Keep : Patch<Nothing>

    /** The field becomes [value]. */
    public data class Set<out T>(val value: T) : Patch<T>
}

/** Changes a field to [value]; `set(null)` empties it. */
public fun <T> set(value: T): Patch<T> = Patch.Set(value)

/** JSON as somebody else sent it: decoded, or the very text or bytes. Signatures are over the very bytes. */
public class Raw private constructor(private val json: Any?) : Wire {
    /** The text as it is. */
    public constructor(text: String) : this(text as Any?)

    /** @throws java.nio.charset.CharacterCodingException when the bytes are not UTF-8. */
    public constructor(bytes: ByteArray) : this(Charsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString())

    public constructor(json: Map<String, Any?>) : this(json as Any?)

    override fun toJson(): Any? = json

    internal companion object {
        fun of(json: Any?): Raw = Raw(json)
    }
}

/** One page of a list. */
public data class Page<out T>(
    val items: List<T>,
    /** Give it to the next call; null on the last page. */
    val nextCursor: String?,
    /** Give it to a call to read back; null on the first page. */
    val prevCursor: String?,
    val hasMore: Boolean,
    /** How many there are in all, where the operation counts. */
    val total: Long?,
)

/** Something that an event is about. */
public data class Subject(val kind: String, val id: String)

/** Something that happened, as the log keeps it. */
public data class Event<out D : EventData>(
    val id: String,
    /** Such as `contact.created`. */
    val type: String,
    /** What changed; its class tells what happened. */
    val data: D,
    val schemaVersion: Long,
    val aggregateKind: String,
    val aggregateId: String,
    val aggregateVersion: Long,
    val projectId: ProjectId?,
    /** Its number in the project's log: dense, in commit order. The one to remember. */
    val seq: Long,
    /** Its number in the whole store. */
    val position: Long,
    val commitId: String,
    val occurredAt: Instant,
    val recordedAt: Instant,
    /** Who caused it. */
    val actor: ActorRef,
    val source: String,
    /** The operation that recorded it. */
    val command: String?,
    val correlationId: String,
    val causationId: String?,
    val subjects: List<Subject>,
    val metadata: Map<String, Any?>?,
    /** When personal data was taken out of it; null for nearly all. */
    val redactedAt: Instant?,
)

/** The type of an event, to ask for it: the companion of each class of `ventros.events` is one. */
public open class EventType<D : EventData> internal constructor(public val name: String) {
    override fun toString(): String = name
}

/** What `runPending` did. */
public data class RunReport(
    /** Jobs and timers that were run. */
    val jobs: Long = 0,
    /** Events that reactions were run for. */
    val reactions: Long = 0,
    /** Runs that failed and will be tried again, or were given up on. */
    val failures: Long = 0,
    /** Events and jobs handed to callbacks and handlers. */
    val delivered: Long = 0,
) {
    internal operator fun plus(other: RunReport): RunReport = RunReport(
        jobs + other.jobs,
        reactions + other.reactions,
        failures + other.failures,
        delivered + other.delivered,
    )
}

internal fun decodeReport(json: Any?): RunReport {
    val from = record(json)
    return RunReport(long(from["jobs"]), long(from["reactions"]), long(from["failures"]), long(from["delivered"]))
}

internal fun decodeEvent(json: Any?): Event<EventData> {
    val from = record(json)
    val type = text(from["type"])
    return Event(
        id = text(from["id"]),
        type = type,
        data = ventros.events.decodeData(type, from["data"]),
        schemaVersion = long(from["schema_version"]),
        aggregateKind = text(from["aggregate_kind"]),
        aggregateId = text(from["aggregate_id"]),
        aggregateVersion = long(from["aggregate_version"]),
        projectId = from["project_id"]?.let { ProjectId(text(it)) },
        seq = long(from["seq"]),
        position = long(from["position"]),
        commitId = text(from["commit_id"]),
        occurredAt = instant(from["occurred_at"]),
        recordedAt = instant(from["recorded_at"]),
        actor = ventros.types.decodeActorRef(from["actor"]),
        source = text(from["source"]),
        command = from["command"]?.let(::text),
        correlationId = text(from["correlation_id"]),
        causationId = from["causation_id"]?.let(::text),
        subjects = list(from["subjects"]) { record(it).let { of -> Subject(text(of["kind"]), text(of["id"])) } },
        metadata = from["metadata"]?.let(::record),
        redactedAt = from["redacted_at"]?.let(::instant),
    )
}
