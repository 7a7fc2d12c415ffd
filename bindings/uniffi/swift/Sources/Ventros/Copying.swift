// Moving a whole installation from one store to another.

import Foundation
import VentrosEngine

/// How far a copy is. Every phase counts all rows from 0.
public struct CopyProgress: Decodable, Equatable, Sendable {
    /// `copying`, `checking_source` or `checking_target`.
    public let phase: String
    /// The part at hand, such as `events` or `contacts`.
    public let section: String
    public let sectionDone: Int
    public let sectionTotal: Int
    public let done: Int
    public let total: Int

    private enum CodingKeys: String, CodingKey {
        case phase, section, done, total
        case sectionDone = "section_done"
        case sectionTotal = "section_total"
    }
}

/// What a copy did. The hashes are of what is stored, and were the same on both sides.
public struct CopyReport: Decodable, Equatable, Sendable {
    /// A part of an installation.
    public struct Section: Decodable, Equatable, Sendable {
        public let section: String
        public let rows: Int
    }

    /// Rows of the installation.
    public let rows: Int
    /// Rows that this run has written; the others were there before.
    public let copied: Int
    /// Of all events.
    public let logHash: String
    /// Of all snapshots.
    public let stateHash: String
    /// Of consumers, dead letters, jobs, idempotency keys, secrets, unique keys and log heads.
    public let restHash: String
    /// Rows of each part.
    public let sections: [Section]

    private enum CodingKeys: String, CodingKey {
        case rows, copied, sections
        case logHash = "log_hash"
        case stateHash = "state_hash"
        case restHash = "rest_hash"
    }
}

/// Copies a whole installation into an empty store: from SQLite to PostgreSQL, back, or to another one of its kind.
///
/// Close the source first: nobody may write to either side meanwhile. What was interrupted goes on with the next call; until then
/// the target cannot be opened. In the end both sides are read and compared. Secrets stay sealed under the same encryption key. A
/// cancelled task breaks the copy off.
///
/// Throws `target_not_empty` when the target has data of its own; `source_changed` when somebody wrote to the source and
/// `copy_mismatch` when the target has not stored what it was given, after both of which another call copies those parts anew;
/// `copy_unfinished` when the source is itself a copy that was interrupted.
///
/// - Parameters:
///   - source: Where the data lives; as for `Crm.open`, but not `:memory:`.
///   - target: Where it shall live. A file or a schema is created.
///   - onProgress: Hears how far the copy is. What it throws breaks the copy off.
@discardableResult
public func copy(
    from source: String,
    to target: String,
    onProgress: ((CopyProgress) throws -> Void)? = nil
) async throws -> CopyReport {
    let copying = try await blocking { try guarded { try NativeCopying.start(source: source, target: target) } }
    do {
        let report = try await followed(copying, onProgress)
        try await blocking { copying.cancel() }
        return report
    } catch {
        try await blocking { copying.cancel() }
        throw error
    }
}

private func followed(_ copying: NativeCopying, _ onProgress: ((CopyProgress) throws -> Void)?) async throws -> CopyReport {
    while true {
        try Task.checkCancellation()
        guard let news = try await blocking({ copying.news() }) else { continue }
        let read = try JSONDecoder().decode(News.self, from: Data(news.utf8))
        if let error = read.error { throw error }
        if let report = read.ok { return report }
        if let progress = read.progress { try onProgress?(progress) }
    }
}

/// One of the three.
private struct News: Decodable {
    let progress: CopyProgress?
    let ok: CopyReport?
    let error: VentrosError?
}
