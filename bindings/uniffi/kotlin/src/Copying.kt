// Moving a whole installation from one store to another.

package ventros

import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import ventros.engine.NativeCopying

/** How far a copy is. Every phase counts all rows from 0. */
public data class CopyProgress(
    /** `copying`, `checking_source` or `checking_target`. */
    val phase: String,
    /** The part at hand, such as `events` or `contacts`. */
    val section: String,
    val sectionDone: Long,
    val sectionTotal: Long,
    val done: Long,
    val total: Long,
)

/** What a copy did. The hashes are of what is stored, and were the same on both sides. */
public data class CopyReport(
    /** Rows of the installation. */
    val rows: Long,
    /** Rows that this run has written; the others were there before. */
    val copied: Long,
    /** Of all events. */
    val logHash: String,
    /** Of all snapshots. */
    val stateHash: String,
    /** Of consumers, dead letters, jobs, idempotency keys, secrets, unique keys and log heads. */
    val restHash: String,
    /** Rows of each part, by its name. */
    val sections: Map<String, Long>,
)

/**
 * Copies a whole installation into an empty store: from SQLite to PostgreSQL, back, or to another one of its kind.
 *
 * Close the source first: nobody may write to either side meanwhile. What was interrupted goes on with the next call; until then
 * the target cannot be opened. In the end both sides are read and compared. Secrets stay sealed under the same encryption key. A
 * cancelled coroutine breaks the copy off.
 *
 * Throws `target_not_empty` when the target has data of its own; `source_changed` when somebody wrote to the source and
 * `copy_mismatch` when the target has not stored what it was given, after both of which another call copies those parts anew;
 * `copy_unfinished` when the source is itself a copy that was interrupted.
 *
 * @param source Where the data lives; as for [Crm.open], but not `:memory:`.
 * @param target Where it shall live. A file or a schema is created.
 * @param onProgress Hears how far the copy is. What it throws breaks the copy off.
 */
public suspend fun copy(source: String, target: String, onProgress: ((CopyProgress) -> Unit)? = null): CopyReport {
    val copying = blocking { guarded { NativeCopying.start(source, target) } }
    try {
        while (true) {
            currentCoroutineContext().ensureActive()
            val news = blocking { copying.news() } ?: continue
            val parsed = record(parse(news))
            if ("error" in parsed) throw decodeError(parsed["error"])
            if ("ok" in parsed) return decodeCopyReport(parsed["ok"])
            onProgress?.invoke(decodeCopyProgress(parsed["progress"]))
        }
    } finally {
        blocking { copying.cancel() }
    }
}

private fun decodeCopyProgress(json: Any?): CopyProgress {
    val from = record(json)
    return CopyProgress(
        phase = text(from["phase"]),
        section = text(from["section"]),
        sectionDone = long(from["section_done"]),
        sectionTotal = long(from["section_total"]),
        done = long(from["done"]),
        total = long(from["total"]),
    )
}

private fun decodeCopyReport(json: Any?): CopyReport {
    val from = record(json)
    val sections = list(from["sections"]) { section -> record(section) }
    return CopyReport(
        rows = long(from["rows"]),
        copied = long(from["copied"]),
        logHash = text(from["log_hash"]),
        stateHash = text(from["state_hash"]),
        restHash = text(from["rest_hash"]),
        sections = sections.associate { section -> text(section["section"]) to long(section["rows"]) },
    )
}
