// The open CRM and its projects.

import Foundation
import VentrosEngine

/// A clock that stands still until it is told to move, for tests.
public final class ManualClock: Sendable {
    let native: NativeClock

    public init(microseconds: Int64) {
        native = NativeClock(micros: microseconds)
    }

    /// Moves it.
    public func advance(microseconds: Int64) {
        native.advance(micros: microseconds)
    }
}

/// An open CRM. Close it when it is done.
public struct Crm: Sendable {
    let engine: Engine
    let scope: Scope

    /// Opens a CRM, creating its store if there is none.
    ///
    /// - Parameters:
    ///   - location: A path, a URL such as `sqlite:///crm.db` or `postgresql://user@host/database`, or `:memory:`.
    ///   - clock: A clock for tests; the system's without it.
    ///   - background: Whether reactions, timers and callbacks run by themselves. Otherwise call `runPending`.
    ///   - encryptionKey: Seals secrets such as the API key of a channel: 32 random bytes.
    ///   - oldEncryptionKeys: Keys that were in use before: what is still sealed under them opens, until `credentials.rotateKeys`
    ///     has sealed everything under `encryptionKey`.
    ///   - seed: For tests, beside a manual clock: ids and secrets depend on it alone, so that the same calls give the same
    ///     results. Whoever knows it can guess every secret.
    ///   - http: Whether calls to the outside are made, such as those of webhooks. Otherwise they wait.
    ///   - privateHosts: Hosts outside the public net that may be called although somebody else named them, such as
    ///     `n8n.internal` or `10.0.0.5:5678`.
    ///   - allowHttp: Allows addresses without TLS, for development.
    ///   - onError: Hears of failing callbacks and subscriptions; without it each is written to the log of the system.
    public static func open(
        _ location: String,
        clock: ManualClock? = nil,
        background: Bool = true,
        encryptionKey: Data? = nil,
        oldEncryptionKeys: [Data] = [],
        seed: Int? = nil,
        http: Bool = true,
        privateHosts: [String] = [],
        allowHttp: Bool = false,
        onError: ErrorListener? = nil
    ) async throws -> Crm {
        var options: [String: JSON] = ["background": .bool(background)]
        if let encryptionKey { options["encryption_key"] = .text(encryptionKey.base64EncodedString()) }
        if !oldEncryptionKeys.isEmpty {
            options["old_encryption_keys"] = .list(oldEncryptionKeys.map { .text($0.base64EncodedString()) })
        }
        if let seed { options["seed"] = .integer(seed) }
        options["http"] = .bool(http)
        options["private_hosts"] = .list(privateHosts.map { .text($0) })
        options["allow_http"] = .bool(allowHttp)
        let json = try encode(options)
        let native = clock?.native
        let engine = try await blocking { try Engine(location: location, options: json, clock: native, onError: onError) }
        return Crm(engine: engine, scope: Scope())
    }

    /// The project as this handle's actor sees it.
    public func project(_ id: ProjectId) -> ProjectHandle {
        ProjectHandle(engine: engine, scope: Scope(projectId: id, actor: scope.actor))
    }

    /// The same CRM as `actor` sees it.
    public func acting(as actor: ActorRef) -> Crm {
        Crm(engine: engine, scope: Scope(projectId: nil, actor: actor))
    }

    /// Calls `handler` with each job of this kind (of all projects, which take turns), at least once.
    ///
    /// Returning ends the job with what is returned, at most 16 KiB of JSON. Throwing `Permanent` gives it up, `RateLimited` puts it
    /// off, and anything else, `Retry` above all, has it tried again later, until its tries are used up. While the handler runs the
    /// job stays its own, up to `timeoutSeconds`; a process that dies loses it after 30 seconds. The task of a job that was lost or
    /// cancelled meanwhile is cancelled.
    ///
    /// - Parameters:
    ///   - kind: `host.` and a name, as in `jobs.enqueue`.
    ///   - concurrency: How many jobs at a time, 1 to 100; 4 unless told.
    ///   - timeoutSeconds: How long a try may take, at most an hour; an hour unless told. Then it has failed.
    ///   - handler: `job.idempotencyKey` is the same at every try.
    /// - Returns: Once it takes jobs.
    @discardableResult
    public func handle(
        _ kind: String,
        concurrency: Int? = nil,
        timeoutSeconds: Int? = nil,
        handler: @escaping JobHandler
    ) async throws -> Subscription {
        let wanted = WantedJobs(projectId: nil, kind: kind, concurrency: concurrency, timeoutSeconds: timeoutSeconds)
        return try await engine.handle(wanted, handler)
    }

    /// Makes a kind of saga known to this process: from now on `sagas.start` takes it, and the background work here carries its sagas
    /// on.
    ///
    /// Every process that works on them defines the same. Sagas of a kind that a process does not know wait for one that does; those
    /// of a version that was taken out fail with `saga_migration_missing`.
    public func defineSaga(_ definition: SagaDefinition) async throws {
        let _: JSON = try await engine.call("engine.define_saga", input: try encode(definition), context: "{}")
    }

    /// Does all work that is due: reactions, timers, jobs and callbacks. Returns when nothing is left.
    @discardableResult
    public func runPending() async throws -> RunReport {
        var total = RunReport()
        repeat {
            let report: RunReport = try await engine.call("engine.run_pending", input: "{}", context: "{}")
            total.add(report)
        } while try await engine.idle()
        return total
    }

    /// Runs several commands in one commit: all or nothing. Gives their results in order, each of its command's `Output`:
    /// `results[0] as? Contact`.
    @discardableResult
    public func transact(_ commands: [any Command], idempotencyKey: String? = nil) async throws -> [any Sendable] {
        try await engine.transact(commands, in: scope, idempotencyKey: idempotencyKey)
    }

    /// Ends callbacks and background work and closes the store. Closing twice is fine.
    public func close() async {
        await engine.close()
    }
}

/// One project of an open CRM, as one actor sees it.
public struct ProjectHandle: Sendable {
    let engine: Engine
    let scope: Scope

    /// The same project as `actor` sees it.
    public func acting(as actor: ActorRef) -> ProjectHandle {
        ProjectHandle(engine: engine, scope: Scope(projectId: scope.projectId, actor: actor, cause: scope.cause))
    }

    /// The same project, for what follows from an event: what is recorded through it belongs to the same flow (`correlation_id`, seen
    /// by `events.trace`) and names the event (`causation_id`).
    ///
    /// For loops over events. Callbacks and handlers need it not: their calls are taken as following from the event or the job that
    /// they were called with.
    public func causedBy(_ event: Event) -> ProjectHandle {
        ProjectHandle(engine: engine, scope: Scope(projectId: scope.projectId, actor: scope.actor, cause: Cause(event)))
    }

    /// The same for what follows from a job.
    public func causedBy(_ job: ClaimedJob) -> ProjectHandle {
        ProjectHandle(engine: engine, scope: Scope(projectId: scope.projectId, actor: scope.actor, cause: Cause(job)))
    }

    /// Runs several commands in one commit: all or nothing. Gives their results in order, each of its command's `Output`:
    /// `results[0] as? Contact`.
    @discardableResult
    public func transact(_ commands: [any Command], idempotencyKey: String? = nil) async throws -> [any Sendable] {
        try await engine.transact(commands, in: scope, idempotencyKey: idempotencyKey)
    }

    /// What happens from the moment it is iterated, as long as this process lives.
    ///
    /// - Parameter events: A type (`contact.created`), all of a group (`contact.*`), `*`, or several.
    public func on(_ events: String...) -> Events {
        Events(engine: engine, wanted: live(events))
    }

    /// Calls `handler` with what happens from now on, one event after the other, until it is cancelled or the CRM is closed.
    ///
    /// What the handler throws goes to `onError`; the next event comes all the same.
    ///
    /// - Returns: Once it listens.
    @discardableResult
    public func on(_ events: String..., handler: @escaping EventHandler) async throws -> Subscription {
        try await engine.callback(live(events), handler)
    }

    /// Every event at least once, in order, also those recorded while nobody listened.
    ///
    /// Asking for the next event acknowledges the one before; leaving the loop leaves the event at hand unacknowledged, so
    /// that it comes again. The loop ends when the CRM is closed.
    ///
    /// - Parameters:
    ///   - name: Names the place in the log; the same name goes on where it stopped.
    ///   - events: Which events, as for `on`.
    ///   - start: Where a new name begins; a known one goes on.
    ///   - maxAttempts: How often an event is tried before it is given up as a dead letter: 1 to 100, 10 unless told.
    public func subscribe(
        _ name: String,
        events: [String] = ["*"],
        start: Start = .beginning,
        maxAttempts: Int? = nil
    ) -> Events {
        Events(engine: engine, wanted: durable(name, events, start, maxAttempts))
    }

    /// Calls `handler` with every event at least once, in order, also with those recorded while nobody listened.
    ///
    /// Returning acknowledges. Throwing tries again later, and gives the event up as a dead letter in the end. A handler shall
    /// take less than 30 seconds for an event.
    ///
    /// - Returns: Once it listens.
    @discardableResult
    public func subscribe(
        _ name: String,
        events: [String] = ["*"],
        start: Start = .beginning,
        maxAttempts: Int? = nil,
        handler: @escaping EventHandler
    ) async throws -> Subscription {
        try await engine.callback(durable(name, events, start, maxAttempts), handler)
    }

    /// Calls `handler` with each job of this kind (of this project), at least once.
    ///
    /// Returning ends the job with what is returned, at most 16 KiB of JSON. Throwing `Permanent` gives it up, `RateLimited` puts it
    /// off, and anything else, `Retry` above all, has it tried again later, until its tries are used up. While the handler runs the
    /// job stays its own, up to `timeoutSeconds`; a process that dies loses it after 30 seconds. The task of a job that was lost or
    /// cancelled meanwhile is cancelled.
    ///
    /// - Parameters:
    ///   - kind: `host.` and a name, as in `jobs.enqueue`.
    ///   - concurrency: How many jobs at a time, 1 to 100; 4 unless told.
    ///   - timeoutSeconds: How long a try may take, at most an hour; an hour unless told. Then it has failed.
    ///   - handler: `job.idempotencyKey` is the same at every try.
    /// - Returns: Once it takes jobs.
    @discardableResult
    public func handle(
        _ kind: String,
        concurrency: Int? = nil,
        timeoutSeconds: Int? = nil,
        handler: @escaping JobHandler
    ) async throws -> Subscription {
        let wanted = WantedJobs(projectId: scope.projectId, kind: kind, concurrency: concurrency, timeoutSeconds: timeoutSeconds)
        return try await engine.handle(wanted, handler)
    }

    private func live(_ events: [String]) -> Wanted {
        Wanted(kind: "live", projectId: scope.projectId, events: events)
    }

    private func durable(_ name: String, _ events: [String], _ start: Start, _ maxAttempts: Int?) -> Wanted {
        Wanted(
            kind: "durable",
            projectId: scope.projectId,
            events: events,
            name: name,
            start: start,
            maxAttempts: maxAttempts
        )
    }
}

/// Where a new durable subscription begins.
public enum Start: Encodable, Sendable {
    /// With the first event of the project.
    case beginning
    /// With what happens from now on.
    case now
    /// After the event with this number.
    case after(Int)

    public func encode(to encoder: Encoder) throws {
        var value = encoder.singleValueContainer()
        switch self {
        case .beginning: try value.encode(["type": JSON.text("start")])
        case .now: try value.encode(["type": JSON.text("now")])
        case .after(let seq): try value.encode(["type": JSON.text("after"), "seq": .integer(seq)])
        }
    }
}
