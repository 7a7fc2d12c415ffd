/** Moving a whole installation from one store to another. */

import { placeOf } from "./client.js";
import { type ErrorBody, VentrosError, wireError } from "./errors.js";
import { native } from "./native.js";

/** How far a copy is. Every phase counts all rows from 0. */
export interface CopyProgress {
  phase: "copying" | "checking_source" | "checking_target";
  /** The part at hand, such as `events` or `contacts`. */
  section: string;
  section_done: number;
  section_total: number;
  done: number;
  total: number;
}

/** What a copy did. The hashes are of what is stored, and were the same on both sides. */
export interface CopyReport {
  /** Rows of the installation. */
  rows: number;
  /** Rows that this run has written; the others were there before. */
  copied: number;
  /** Of all events. */
  log_hash: string;
  /** Of all snapshots. */
  state_hash: string;
  /** Of consumers, dead letters, jobs, idempotency keys, secrets, unique keys and log heads. */
  rest_hash: string;
  /** Rows of each part. */
  sections: { section: string; rows: number }[];
}

/** What a copy may be told. */
export interface CopyOptions {
  /** Hears how far it is. What it throws breaks the copy off. */
  onProgress?: ((progress: CopyProgress) => void) | undefined;
  /** Breaks the copy off; it goes on with the next one. */
  signal?: AbortSignal | undefined;
}

type News = { progress?: CopyProgress; ok?: CopyReport; error?: ErrorBody };

/**
 * Copies a whole installation into an empty store: from SQLite to PostgreSQL, back, or to another one of its kind.
 *
 * Close the source first: nobody may write to either side meanwhile. What was interrupted goes on with the next call; until then the
 * target cannot be opened. In the end both sides are read and compared. Secrets stay sealed under the same encryption key.
 *
 * Rejects with `target_not_empty` when the target has data of its own; with `source_changed` when somebody wrote to the source and
 * with `copy_mismatch` when the target has not stored what it was given, after both of which another call copies those parts anew;
 * with `copy_unfinished` when the source is itself a copy that was interrupted.
 *
 * @param source Where the data lives; as for `open`, but not `:memory:`.
 * @param target Where it shall live. A file or a schema is created.
 */
export async function copy(source: string | URL, target: string | URL, options: CopyOptions = {}): Promise<CopyReport> {
  const { onProgress, signal } = options;
  const trace = new Error().stack?.replace(/^.*/, "");
  signal?.throwIfAborted();
  try {
    const copying = native.Copying.start(placeOf(source), placeOf(target));
    try {
      for (;;) {
        const news = JSON.parse((await copying.wait()) ?? "{}") as News;
        signal?.throwIfAborted();
        if (news.error !== undefined) throw VentrosError.from(news.error, trace);
        if (news.ok !== undefined) return news.ok;
        if (news.progress !== undefined) onProgress?.(news.progress);
      }
    } finally {
      await copying.cancel();
    }
  } catch (error) {
    throw wireError(error, trace);
  }
}
