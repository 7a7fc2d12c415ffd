// Callbacks and loops over events. One delivery is out per subscription, so a slow host holds nothing up but itself.

import Foundation

/// How long one delivery is worked on before the rest is handed back, to come again at once. Well below the lease of the
/// engine, which acknowledging renews: with slow callbacks no other process takes over what is still being handled here.
private let patience = DispatchTimeInterval.seconds(10)

/// Is called with one event after the other.
public typealias EventHandler = @Sendable (Event) async throws -> Void

/// The callback that runs, if the code is in one.
enum Inside {
    /// What it was called with.
    @TaskLocal static var cause: Cause?

    /// Whether it has not returned yet: then it must not wait for callbacks, nor for itself.
    static var callback: Bool { cause != nil }
}

/// A subscription as the engine is asked for it.
struct Wanted: Encodable, Sendable {
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

    func failure(_ event: Event?, retried: Bool) -> CallbackFailure {
        CallbackFailure(events: events, name: name, event: event, job: nil, retried: retried)
    }
}

/// Room for the one delivery that is yet to be read.
final class Mailbox: @unchecked Sendable {
    let token: Int64
    let wanted: Wanted
    /// Whether `runPending` and `close` wait for what is delivered. A loop may be the one who waits.
    let awaited: Bool
    let deliveries: AsyncStream<String>
    private let slot: AsyncStream<String>.Continuation
    private let lock = NSLock()
    private var isStopped = false

    init(token: Int64, wanted: Wanted, awaited: Bool) {
        let made = AsyncStream.makeStream(of: String.self)
        self.token = token
        self.wanted = wanted
        self.awaited = awaited
        deliveries = made.stream
        slot = made.continuation
    }

    var stopped: Bool {
        lock.lock()
        defer { lock.unlock() }
        return isStopped
    }

    /// Says whether somebody will read it.
    func deliver(_ events: String) -> Bool {
        if case .enqueued = slot.yield(events) { return true }
        return false
    }

    /// Takes no further event.
    func stop() {
        lock.lock()
        isStopped = true
        lock.unlock()
        slot.finish()
    }
}

/// A running callback or handler.
public struct Subscription: Sendable {
    let end: @Sendable () async -> Void

    /// Ends it, after the event that is being handled. A durable one keeps its place in the log and goes on when it is
    /// subscribed again. A handler takes no more jobs and finishes those that it has. Inside a callback it takes effect when the
    /// callback returns.
    public func cancel() async {
        await end()
    }
}

extension Engine {
    /// Calls `handler` with one event after the other. Returns once it listens.
    func callback(_ wanted: Wanted, _ handler: @escaping EventHandler) async throws -> Subscription {
        let mailbox = try await blocking { try self.subscribe(wanted, awaited: true) }
        // Detached: it outlives whoever subscribes, and inherits neither their actor nor that they are inside of a callback.
        let task = Task.detached {
            for await delivery in mailbox.deliveries { await self.serve(mailbox, delivery, handler) }
            // Unsubscribing cannot fail; at worst the lease of a durable one runs out by itself.
            try? await blocking { self.unsubscribe(mailbox) }
        }
        let subscription = Subscription {
            mailbox.stop()
            if !Inside.callback { await task.value }
        }
        if Task.isCancelled {
            await subscription.cancel()
            throw CancellationError()
        }
        return subscription
    }

    private func serve(_ mailbox: Mailbox, _ delivery: String, _ handler: @escaping EventHandler) async {
        let wanted = mailbox.wanted
        let durable = wanted.name != nil
        let deadline = DispatchTime.now() + patience
        var done = 0
        var reason: String?
        do {
            for attempt in try attempts(delivery) {
                if mailbox.stopped || (durable && DispatchTime.now() > deadline) { break }
                var event: Event?
                do {
                    let heard = try attempt.event.get()
                    event = heard
                    try await Inside.$cause.withValue(Cause(heard)) { try await handler(heard) }
                } catch {
                    report(error, wanted.failure(event, retried: durable))
                    if durable {
                        reason = "\(error)"
                        break
                    }
                }
                done += 1
            }
            try settle(mailbox, done: done, error: reason)
        } catch {
            report(error, wanted.failure(nil, retried: durable))
        }
    }
}

/// An event of a delivery, or why it cannot be read: the others can.
struct Attempt: Decodable {
    let event: Result<Event, any Error>

    init(from decoder: Decoder) throws {
        event = Result { try Event(from: decoder) }
    }
}

func attempts(_ delivery: String) throws -> [Attempt] {
    try JSONDecoder().decode([Attempt].self, from: Data(delivery.utf8))
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
    private var mailbox: Mailbox?
    private var deliveries: AsyncStream<String>.Iterator?
    private var batch: [Attempt] = []
    /// So many of the batch are with the loop; all but the last of them are handled.
    private var taken = 0
    private var deadline = DispatchTime.now()

    init(engine: Engine, wanted: Wanted) {
        self.engine = engine
        self.wanted = wanted
    }

    deinit {
        guard let mailbox else { return }
        // What does not reach the store makes the events come again.
        if !batch.isEmpty { try? engine.settle(mailbox, done: max(taken - 1, 0), error: nil) }
        engine.unsubscribe(mailbox)
    }

    func next() async throws -> Event? {
        let mailbox = try await listening()
        if mailbox.stopped || taken == batch.count || DispatchTime.now() > deadline {
            if !batch.isEmpty {
                let handled = taken
                (batch, taken) = ([], 0)
                try engine.settle(mailbox, done: handled, error: nil)
            }
            guard let delivery = await deliveries?.next(), !mailbox.stopped else { return nil }
            batch = try attempts(delivery)
            deadline = DispatchTime.now() + patience
        }
        guard taken < batch.count else { return nil }
        taken += 1
        return try batch[taken - 1].event.get()
    }

    private func listening() async throws -> Mailbox {
        if let mailbox { return mailbox }
        let (engine, wanted) = (self.engine, self.wanted)
        let begun = try await blocking { try engine.subscribe(wanted, awaited: false) }
        mailbox = begun
        deliveries = begun.deliveries.makeAsyncIterator()
        return begun
    }
}
