// One open engine: calls that wait for their answer, and subscriptions that wait for events.

import Foundation
import VentrosEngine

/// The engine behind all handles of one `open`.
final class Engine: @unchecked Sendable {
    private let lock = NSLock()
    private var calls: [Int64: CheckedContinuation<String, Error>] = [:]
    private var mailboxes: [Int64: AsyncStream<String>.Continuation] = [:]
    private var tokens: Int64 = 0
    private var native: NativeEngine?
    private let bell = Bell()

    init(location: String, options: String, clock: NativeClock?) throws {
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

    /// Deliveries of a subscription, one at a time; `settle` hands each back.
    func subscribe(_ options: String) throws -> (token: Int64, deliveries: AsyncStream<String>) {
        let token = next()
        let deliveries = AsyncStream<String> { continuation in locked { mailboxes[token] = continuation } }
        do {
            try guarded { try open().subscribe(token: token, options: options) }
        } catch {
            locked { mailboxes[token] = nil }
            throw error
        }
        return (token, deliveries)
    }

    func unsubscribe(_ token: Int64) {
        locked { mailboxes.removeValue(forKey: token) }?.finish()
        native?.cancel(token: token)
    }

    func settle(_ token: Int64, done: Int, error: String?) throws {
        try drain([Settled(token: token, done: UInt32(done), error: error)])
    }

    /// Ends everything; calls that wait fail with `closed`.
    func close() {
        native?.shutdown()
        try? drain([])
        locked { mailboxes.values }.forEach { $0.finish() }
    }

    fileprivate func drain(_ settled: [Settled]) throws {
        for delivery in try guarded({ try open().drain(settled: settled) }) {
            switch delivery {
            case .completed(let token, let answer): take(token)?.resume(returning: answer)
            case .live(let token, let events), .durable(let token, let events):
                locked { mailboxes[token] }?.yield(events)
            case .failed(let token, let error): NSLog("ventros: subscription %lld failed and is tried again: %@", token, error)
            }
        }
    }

    private func open() throws -> NativeEngine {
        guard let native else { throw CancellationError() }
        return native
    }

    private func next() -> Int64 {
        locked {
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

/// Rings on a thread of the native side that does nothing else.
private final class Bell: Doorbell, @unchecked Sendable {
    weak var engine: Engine?

    func ring() {
        try? engine?.drain([])
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
private func guarded<Value>(_ run: () throws -> Value) throws -> Value {
    do {
        return try run()
    } catch EngineError.Refused(let json) {
        throw try JSONDecoder().decode(VentrosError.self, from: Data(json.utf8))
    }
}
