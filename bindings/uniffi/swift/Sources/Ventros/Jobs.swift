// Handlers of jobs: what becomes of each, and how many are under way.

import Foundation

/// Does one job. What it returns is the result of the job, at most 16 KiB of JSON.
public typealias JobHandler = @Sendable (ClaimedJob) async throws -> (any Encodable & Sendable)?

/// Thrown by a handler: the job failed and may work later. Whatever else it throws says the same.
public struct Retry: Error {
    /// For people.
    public let reason: String?
    /// When to try again; after 5 seconds, doubled with each try up to an hour, unless told.
    public let afterSeconds: Int?

    public init(_ reason: String? = nil, afterSeconds: Int? = nil) {
        self.reason = reason
        self.afterSeconds = afterSeconds
    }
}

/// Thrown by a handler: the job can never work. It is given up at once (`job.dead`).
public struct Permanent: Error {
    /// For people.
    public let reason: String

    public init(_ reason: String) {
        self.reason = reason
    }
}

/// Thrown by a handler: whom it needs takes no more now. This does not count as a try.
public struct RateLimited: Error {
    /// When to try again: 1 to 86,400.
    public let afterSeconds: Int

    public init(afterSeconds: Int) {
        self.afterSeconds = afterSeconds
    }
}

/// A handler as the engine is asked for it.
struct WantedJobs: Encodable, Sendable {
    let projectId: ProjectId?
    let kind: String
    let concurrency: Int?
    let timeoutSeconds: Int?

    enum CodingKeys: String, CodingKey {
        case form = "kind"
        case projectId = "project_id"
        case kind = "job_kind"
        case concurrency
        case timeoutSeconds = "timeout_seconds"
    }

    func encode(to encoder: Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode("jobs", forKey: .form)
        try fields.encode(projectId, forKey: .projectId)
        try fields.encode(kind, forKey: .kind)
        try fields.encodeIfPresent(concurrency, forKey: .concurrency)
        try fields.encodeIfPresent(timeoutSeconds, forKey: .timeoutSeconds)
    }

    func failure(_ job: ClaimedJob?, retried: Bool) -> CallbackFailure {
        CallbackFailure(events: [], name: kind, event: nil, job: job, retried: retried)
    }
}

/// What became of a job, as the engine reads it.
private struct Outcome: Encodable {
    let type: String
    var result: JSON?
    var error: String?
    var afterSeconds: Int?

    enum CodingKeys: String, CodingKey {
        case type, result, error
        case afterSeconds = "after_seconds"
    }
}

/// A handler and the jobs that it does.
final class Worker: @unchecked Sendable {
    let token: Int64
    let wanted: WantedJobs
    private let handler: JobHandler
    private let lock = NSLock()
    private var jobs: [String: Task<Void, Never>] = [:]
    private var isStopped = false

    init(token: Int64, wanted: WantedJobs, handler: @escaping JobHandler) {
        self.token = token
        self.wanted = wanted
        self.handler = handler
    }

    /// Those under way.
    var running: [Task<Void, Never>] {
        lock.lock()
        defer { lock.unlock() }
        return Array(jobs.values)
    }

    /// Takes no further job.
    func stop() {
        lock.lock()
        isStopped = true
        lock.unlock()
    }

    /// Gives a job a task of its own; says whether it does.
    func begin(_ job: ClaimedJob, in engine: Engine) -> Bool {
        lock.lock()
        defer { lock.unlock() }
        if isStopped { return false }
        // Ends behind the lock at the earliest, where it is known.
        jobs[job.id.rawValue] = Task.detached {
            let outcome = await self.perform(job, in: engine)
            self.forget(job.id.rawValue)
            engine.reportJob(self, job.id.rawValue, outcome)
            engine.handled()
        }
        return true
    }

    /// A job is not this worker's any more.
    func lose(_ id: String) {
        lock.lock()
        let lost = jobs[id]
        lock.unlock()
        lost?.cancel()
    }

    private func forget(_ id: String) {
        lock.lock()
        jobs[id] = nil
        lock.unlock()
    }

    /// The outcome, as the engine reads it; nil hands the job back.
    private func perform(_ job: ClaimedJob, in engine: Engine) async -> String? {
        var outcome: Outcome
        do {
            let handler = self.handler
            let result = try await Inside.$cause.withValue(Cause(job)) { try await handler(job) }
            outcome = Outcome(type: "done", result: try result.map { try json(of: $0) })
        } catch let limited as RateLimited {
            outcome = Outcome(type: "rate_limited", afterSeconds: limited.afterSeconds)
        } catch let permanent as Permanent {
            engine.report(permanent, wanted.failure(job, retried: false))
            outcome = Outcome(type: "permanent", error: permanent.reason)
        } catch let retry as Retry {
            outcome = Outcome(type: "retry", error: retry.reason, afterSeconds: retry.afterSeconds)
        } catch {
            if Task.isCancelled { return nil }
            engine.report(error, wanted.failure(job, retried: true))
            outcome = Outcome(type: "retry", error: "\(error)")
        }
        do {
            return try encode(outcome)
        } catch {
            engine.report(error, wanted.failure(job, retried: true))
            return nil
        }
    }
}

/// A value of the host as JSON.
private func json(of value: any Encodable) throws -> JSON {
    try JSONDecoder().decode(JSON.self, from: JSONEncoder().encode(value))
}

extension Engine {
    /// Starts a handler. Returns once it takes jobs.
    func handle(_ wanted: WantedJobs, _ handler: @escaping JobHandler) async throws -> Subscription {
        let worker = try await blocking { try self.employ(wanted, handler) }
        let subscription = Subscription {
            worker.stop()
            // Ending cannot fail; at worst the leases run out by themselves.
            try? await blocking { self.retire(worker) }
            if !Inside.callback {
                for task in worker.running { await task.value }
            }
        }
        if Task.isCancelled {
            await subscription.cancel()
            throw CancellationError()
        }
        return subscription
    }
}
