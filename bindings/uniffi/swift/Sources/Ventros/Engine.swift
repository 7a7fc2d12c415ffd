// One open engine: calls that wait for their answer, and subscriptions that wait for events.

import Foundation
import VentrosEngine

/// How long `close` waits for callbacks that run.
private let farewell = DispatchTimeInterval.seconds(5)
/// How long it waits for jobs.
private let stop = DispatchTimeInterval.seconds(30)

/// Hears of failures that belong to no call.
public typealias ErrorListener = @Sendable (any Error, CallbackFailure) -> Void

/// Where a failure that belongs to no call happened.
public struct CallbackFailure: Sendable {
    /// The events that the subscription asked for.
    public let events: [String]
    /// The name of a durable subscription, or the kind of jobs.
    public let name: String?
    /// The event at which the callback failed; nil when the subscription itself met an error.
    public let event: Event?
    /// The job at which the handler failed.
    public let job: ClaimedJob?
    /// Whether it is tried again.
    public let retried: Bool
}

/// The engine behind all handles of one `open`.
final class Engine: @unchecked Sendable {
    private let lock = NSLock()
    /// Deliveries reach their mailboxes before anybody else looks whether there are any.
    private let sorting = NSLock()
    private var calls: [Int64: CheckedContinuation<String, Error>] = [:]
    private var mailboxes: [Int64: Mailbox] = [:]
    private var workers: [Int64: Worker] = [:]
    private var tokens: Int64 = 0
    /// Deliveries to callbacks and handlers that are not handled yet.
    private var busy = 0
    /// Whoever waits until there are none.
    private var waiting: [Int64: CheckedContinuation<Void, Never>] = [:]
    private var delivered = false
    private var closing = false
    private var native: NativeEngine?
    private let onError: ErrorListener?
    private let bell = Bell()

    init(location: String, options: String, clock: NativeClock?, onError: ErrorListener?) throws {
        self.onError = onError
        let bell = self.bell
        native = try guarded { try NativeEngine.open(location: location, options: options, clock: clock, bell: bell) }
        bell.engine = self
    }

    /// Runs an operation on the engine's threads.
    func call<Output: Decodable>(_ operation: String, input: String, context: String) async throws -> Output {
        let token = next()
        let answer = try await withTaskCancellationHandler {
            try Task.checkCancellation()
            return try await withCheckedThrowingContinuation { continuation in
                locked { calls[token] = continuation }
                do {
                    try guarded { try open().submit(token: token, operation: operation, input: input, context: context) }
                } catch {
                    take(token)?.resume(throwing: error)
                }
            }
        } onCancel: {
            take(token)?.resume(throwing: CancellationError())
            native?.cancel(token: token)
        }
        return try JSONDecoder().decode(Answer<Output>.self, from: Data(answer.utf8)).result.get()
    }

    /// Starts a subscription; its mailbox is known before the first event can come.
    func subscribe(_ wanted: Wanted, awaited: Bool) throws -> Mailbox {
        let mailbox = Mailbox(token: next(), wanted: wanted, awaited: awaited)
        let options = try encode(wanted)
        locked { mailboxes[mailbox.token] = mailbox }
        do {
            try guarded { try open().subscribe(token: mailbox.token, options: options) }
        } catch {
            forget(mailbox)
            throw error
        }
        if locked({ closing }) { mailbox.stop() }
        return mailbox
    }

    /// Ends a subscription; a durable one keeps its place.
    func unsubscribe(_ mailbox: Mailbox) {
        forget(mailbox)
        mailbox.stop()
        native?.cancel(token: mailbox.token)
    }

    /// Starts a handler; it is known before its first job can come.
    func employ(_ wanted: WantedJobs, _ handler: @escaping JobHandler) throws -> Worker {
        let worker = Worker(token: next(), wanted: wanted, handler: handler)
        let options = try encode(wanted)
        locked { workers[worker.token] = worker }
        do {
            try guarded { try open().subscribe(token: worker.token, options: options) }
        } catch {
            locked { workers[worker.token] = nil }
            throw error
        }
        if locked({ closing }) { worker.stop() }
        return worker
    }

    /// Takes no more jobs for a handler; those that it has go on.
    func retire(_ worker: Worker) {
        native?.cancel(token: worker.token)
    }

    /// Says what became of a job; nil hands it back.
    func reportJob(_ worker: Worker, _ job: String, _ outcome: String?) {
        do {
            try guarded { try open().report(token: worker.token, job: job, outcome: outcome) }
        } catch {
            // Closed meanwhile: the job comes again elsewhere.
            report(error, worker.wanted.failure(nil, retried: true))
        }
    }

    /// Hands back what was done with a delivery of the mailbox.
    func settle(_ mailbox: Mailbox, done: Int, error: String?) throws {
        defer {
            if mailbox.awaited { handled() }
        }
        try drain([Settled(token: mailbox.token, done: UInt32(done), error: error)])
    }

    /// Waits until the callbacks have handled what is here. Says whether anything was since the last time.
    func idle() async throws -> Bool {
        try drain()
        // Whoever runs the callback asks, too.
        if Inside.callback { return false }
        await quiet()
        return locked { () -> Bool in
            defer { delivered = false }
            return delivered
        }
    }

    /// Tells whoever listens for failures, or the log.
    func report(_ error: any Error, _ failure: CallbackFailure) {
        if let onError {
            onError(error, failure)
        } else {
            NSLog(failure.describe(error).replacingOccurrences(of: "%", with: "%%"))
        }
    }

    /// Ends everything; calls that wait fail with `closed`.
    func close() async {
        guard let listening = stopListening() else { return }
        for mailbox in listening { mailbox.stop() }
        let workers = locked { Array(self.workers.values) }
        for worker in workers {
            worker.stop()
            try? await blocking { self.retire(worker) }
        }
        // A callback that closes does not wait for itself.
        let isBusy = workers.contains { !$0.running.isEmpty }
        if !Inside.callback { await quiet(atMost: isBusy ? stop : farewell) }
        // Shutting down cannot fail, and what is left to drain after it are answers of calls.
        if let native = self.native { try? await blocking { native.shutdown() } }
        try? drain()
        locked {
            mailboxes = [:]
            self.workers = [:]
        }
    }

    /// The open mailboxes, for the first who asks.
    private func stopListening() -> [Mailbox]? {
        locked { () -> [Mailbox]? in
            if closing { return nil }
            closing = true
            return Array(mailboxes.values)
        }
    }

    /// Takes what is there, and hands back what was done with earlier deliveries.
    fileprivate func drain(_ settled: [Settled] = []) throws {
        // Whoever waits for an answer may go on at once, and drain.
        for (token, answer) in try sorted(settled) { take(token)?.resume(returning: answer) }
    }

    /// Puts events into their mailboxes and gives the answers of calls.
    private func sorted(_ settled: [Settled]) throws -> [(token: Int64, answer: String)] {
        sorting.lock()
        defer { sorting.unlock() }
        var answers: [(token: Int64, answer: String)] = []
        for delivery in try guarded({ try open().drain(settled: settled) }) {
            switch delivery {
            case .completed(let token, let answer): answers.append((token: token, answer: answer))
            case .live(let token, let events), .durable(let token, let events): deliver(token, events)
            case .job(let token, let job): try begin(token, job)
            case .lost(let token, let job): locked({ workers[token] })?.lose(job)
            case .failed(let token, let error): failed(token, error)
            }
        }
        return answers
    }

    private func deliver(_ token: Int64, _ events: String) {
        guard let mailbox = locked({ mailboxes[token] }) else { return }
        if mailbox.awaited { locked { busy += 1 } }
        if mailbox.deliver(events) {
            locked { delivered = true }
        } else if mailbox.awaited {
            handled()
        }
    }

    /// Gives a job to its handler, or back.
    private func begin(_ token: Int64, _ json: String) throws {
        let job = try JSONDecoder().decode(ClaimedJob.self, from: Data(json.utf8))
        locked {
            busy += 1
            delivered = true
        }
        if let worker = locked({ workers[token] }), worker.begin(job, in: self) { return }
        handled()
        try guarded { try open().report(token: token, job: job.id.rawValue, outcome: nil) }
    }

    /// A subscription or handler met an error; it is told elsewhere, where it may call.
    private func failed(_ token: Int64, _ json: String) {
        let known = locked { mailboxes[token]?.wanted.failure(nil, retried: true) ?? workers[token]?.wanted.failure(nil, retried: true) }
        guard let failure = known else { return }
        Task.detached {
            do {
                let error = try JSONDecoder().decode(VentrosError.self, from: Data(json.utf8))
                self.report(error, failure)
            } catch {
                self.report(error, failure)
            }
        }
    }

    /// One delivery to a callback or handler less is to be waited for.
    func handled() {
        let released = locked { () -> [CheckedContinuation<Void, Never>] in
            busy -= 1
            if busy > 0 { return [] }
            defer { waiting = [:] }
            return Array(waiting.values)
        }
        for continuation in released { continuation.resume() }
    }

    /// Waits until no callback runs, or for so long.
    private func quiet(atMost patience: DispatchTimeInterval? = nil) async {
        let token = next()
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isQuiet = locked { () -> Bool in
                if busy == 0 { return true }
                waiting[token] = continuation
                return false
            }
            if isQuiet {
                continuation.resume()
            } else if let patience {
                DispatchQueue.global().asyncAfter(deadline: .now() + patience) { self.release(token) }
            }
        }
    }

    private func release(_ token: Int64) {
        locked { waiting.removeValue(forKey: token) }?.resume()
    }

    private func forget(_ mailbox: Mailbox) {
        locked { mailboxes[mailbox.token] = nil }
    }

    private func open() throws -> NativeEngine {
        guard let native else { throw CancellationError() }
        return native
    }

    private func next() -> Int64 {
        locked { () -> Int64 in
            tokens += 1
            return tokens
        }
    }

    private func take(_ token: Int64) -> CheckedContinuation<String, Error>? {
        locked { calls.removeValue(forKey: token) }
    }

    private func locked<Value>(_ run: () -> Value) -> Value {
        lock.lock()
        defer { lock.unlock() }
        return run()
    }
}

extension CallbackFailure {
    fileprivate func describe(_ error: any Error) -> String {
        let subscription = name ?? events.joined(separator: ", ")
        var place = "The subscription \(subscription) failed"
        if let event { place = "A callback failed on \(event.type) \(event.seq)" }
        if let job { place = "A handler failed on \(job.kind) \(job.id.rawValue)" }
        return "ventros: \(place)\(retried ? " and is tried again" : ""): \(error)"
    }
}

/// Rings on a thread of the native side that does nothing else.
private final class Bell: Doorbell, @unchecked Sendable {
    weak var engine: Engine?

    func ring() {
        try? engine?.drain()
    }
}

/// `{"ok": output}` or `{"error": {...}}`.
private struct Answer<Output: Decodable>: Decodable {
    let result: Result<Output, VentrosError>

    enum CodingKeys: CodingKey {
        case ok, error
    }

    init(from decoder: Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        if fields.contains(.error) {
            result = .failure(try fields.decode(VentrosError.self, forKey: .error))
        } else {
            result = .success(try fields.decode(Output.self, forKey: .ok))
        }
    }
}

/// Runs something of the native side; what it throws becomes an error of ours.
func guarded<Value>(_ run: () throws -> Value) throws -> Value {
    do {
        return try run()
    } catch EngineError.Refused(let json) {
        throw try JSONDecoder().decode(VentrosError.self, from: Data(json.utf8))
    }
}

/// What waits for the store, on a thread that may wait.
func blocking<Value: Sendable>(_ run: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Result(catching: run)) }
    }
}
