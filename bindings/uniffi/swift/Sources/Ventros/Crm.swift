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
    ///   - location: A path, a URL such as `sqlite:///crm.db`, or `:memory:`.
    ///   - clock: A clock for tests; the system's without it.
    ///   - background: Whether reactions, timers and callbacks run by themselves. Otherwise call `runPending`.
    ///   - encryptionKey: Seals secrets such as the API key of a channel: 32 random bytes.
    public static func open(
        _ location: String,
        clock: ManualClock? = nil,
        background: Bool = true,
        encryptionKey: Data? = nil
    ) async throws -> Crm {
        let options = ["background": JSON.bool(background), "encryption_key": encryptionKey.map { .text($0.base64EncodedString()) }]
        let json = try encode(options.compactMapValues { $0 })
        let engine = try await blocking { try Engine(location: location, options: json, clock: clock?.native) }
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

    /// Does the work that is due: reactions, timers, jobs, and handing events to loops. For an engine without `background`.
    public func runPending() async throws {
        let _: JSON = try await engine.call("engine.run_pending", input: "{}", context: "{}")
    }

    /// Ends callbacks and background work and closes the store. Closing twice is fine.
    public func close() async {
        try? await blocking { engine.close() }
    }
}

/// One project of an open CRM, as one actor sees it.
public struct ProjectHandle: Sendable {
    let engine: Engine
    let scope: Scope

    /// The same project as `actor` sees it.
    public func acting(as actor: ActorRef) -> ProjectHandle {
        ProjectHandle(engine: engine, scope: Scope(projectId: scope.projectId, actor: actor))
    }

    /// What happens from the moment it is iterated: a type (`contact.created`), all of a group (`contact.*`), or `*`.
    public func on(_ events: String...) -> Events {
        Events(engine: engine, wanted: Wanted(kind: "live", projectId: scope.projectId, events: events))
    }

    /// Every event at least once, in order, also those recorded while nobody listened. Asking for the next event
    /// acknowledges the one before; leaving the loop leaves the event at hand unacknowledged, so that it comes again.
    public func subscribe(_ name: String, events: [String] = ["*"], start: Start = .beginning, maxAttempts: Int? = nil) -> Events {
        var wanted = Wanted(kind: "durable", projectId: scope.projectId, events: events)
        (wanted.name, wanted.start, wanted.maxAttempts) = (name, start, maxAttempts)
        return Events(engine: engine, wanted: wanted)
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

struct Wanted: Encodable {
    let kind: String
    let projectId: ProjectId?
    let events: [String]
    var name: String?
    var start: Start?
    var maxAttempts: Int?

    enum CodingKeys: String, CodingKey {
        case kind, events, name, start
        case projectId = "project_id"
        case maxAttempts = "max_attempts"
    }
}

/// Events for a `for try await` loop.
public struct Events: AsyncSequence, Sendable {
    public typealias Element = Event
    let engine: Engine
    let wanted: Wanted

    public func makeAsyncIterator() -> Iterator {
        Iterator(Reading(engine: engine, wanted: wanted))
    }

    public struct Iterator: AsyncIteratorProtocol {
        private let reading: Reading

        init(_ reading: Reading) {
            self.reading = reading
        }

        public mutating func next() async throws -> Event? {
            try await reading.next()
        }
    }
}

/// One loop over events; it unsubscribes when the loop lets go of it.
final class Reading {
    private let engine: Engine
    private let wanted: Wanted
    private var subscription: (token: Int64, deliveries: AsyncStream<String>.Iterator)?
    private var batch: [Event] = []
    private var done = 0

    init(engine: Engine, wanted: Wanted) {
        self.engine = engine
        self.wanted = wanted
    }

    deinit {
        guard let token = subscription?.token else { return }
        try? engine.settle(token, done: max(done - 1, 0), error: nil)
        engine.unsubscribe(token)
    }

    func next() async throws -> Event? {
        if subscription == nil {
            let json = try encode(wanted)
            let started = try await blocking { [engine] in try engine.subscribe(json) }
            subscription = (started.token, started.deliveries.makeAsyncIterator())
        }
        guard let token = subscription?.token else { return nil }
        if done == batch.count {
            if !batch.isEmpty { try engine.settle(token, done: done, error: nil) }
            (batch, done) = ([], 0)
            guard let text = await subscription?.deliveries.next() else { return nil }
            batch = try JSONDecoder().decode([Event].self, from: Data(text.utf8))
        }
        done += 1
        return batch[done - 1]
    }
}

/// What waits for the store, on a thread that may wait.
func blocking<Value>(_ run: @escaping () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Result(catching: run)) }
    }
}
