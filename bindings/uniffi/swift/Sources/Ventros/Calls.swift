// How a generated method becomes a call of the engine.

import Foundation

/// An operation with its input.
public protocol Query: Encodable, Sendable {
    associatedtype Output: Decodable & Sendable
    static var operation: String { get }
}

/// An operation that changes something.
public protocol Command: Query {}

/// What led to a call.
struct Cause: Sendable {
    /// The flow that both belong to.
    let correlationId: String
    /// The event that was heard, or that led to the job.
    let causationId: String?

    init(_ event: Event) {
        correlationId = event.correlationId
        causationId = event.id
    }

    init(_ job: ClaimedJob) {
        correlationId = job.correlationId.rawValue
        causationId = job.causationId?.rawValue
    }
}

/// What every call through one handle carries.
struct Scope: Sendable {
    var projectId: ProjectId?
    var actor: ActorRef?
    /// What its calls follow from; without one, what the callback that runs was called with.
    var cause: Cause?
}

/// Operations that belong together, bound to a project and an actor.
protocol Collection: Sendable {
    var engine: Engine { get }
    var scope: Scope { get }
}

extension Collection {
    func run<Q: Query>(_ query: Q, idempotencyKey: String? = nil, expectedVersion: Int? = nil) async throws -> Q.Output {
        let context = CallContext(scope, idempotencyKey: idempotencyKey, expectedVersion: expectedVersion)
        return try await engine.call(Q.operation, input: try encode(query), context: try encode(context))
    }
}

extension Collection {
    func list<Q: Query, Item>(_ query: @escaping @Sendable (String?) -> Q) -> Pager<Item> where Q.Output == Page<Item> {
        Pager { cursor in try await run(query(cursor)) }
    }
}

extension Engine {
    /// Runs several commands in one commit; each result is decoded as its command says.
    func transact(_ commands: [any Command], in scope: Scope, idempotencyKey: String?) async throws -> [any Sendable] {
        let context = CallContext(scope, idempotencyKey: idempotencyKey, expectedVersion: nil)
        let input = try encode(Transaction(commands: commands))
        let results: [JSON] = try await call("engine.transact", input: input, context: try encode(context))
        var outputs: [any Sendable] = []
        for (command, result) in zip(commands, results) { outputs.append(try command.output(of: result)) }
        return outputs
    }
}

/// Several commands as the engine reads them.
private struct Transaction: Encodable {
    let commands: [any Command]

    enum CodingKeys: CodingKey {
        case commands
    }

    func encode(to encoder: Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        var steps = fields.nestedUnkeyedContainer(forKey: .commands)
        for command in commands { try command.write(to: &steps) }
    }
}

private enum StepKeys: CodingKey {
    case operation, input
}

extension Query {
    fileprivate func write(to steps: inout any UnkeyedEncodingContainer) throws {
        var step = steps.nestedContainer(keyedBy: StepKeys.self)
        try step.encode(Self.operation, forKey: .operation)
        try step.encode(self, forKey: .input)
    }

    fileprivate func output(of json: JSON) throws -> any Sendable {
        try JSONDecoder().decode(Output.self, from: JSONEncoder().encode(json))
    }
}

/// A list that fetches its pages while you iterate with `for try await`.
public struct Pager<Item: Decodable & Sendable>: AsyncSequence, Sendable {
    public typealias Element = Item
    let fetch: @Sendable (String?) async throws -> Page<Item>

    /// One page: the first, or the one that `cursor` names.
    public func page(_ cursor: String? = nil) async throws -> Page<Item> {
        try await fetch(cursor)
    }

    /// Everything in one array.
    public func all() async throws -> [Item] {
        var items: [Item] = []
        for try await item in self { items.append(item) }
        return items
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(fetch: fetch)
    }

    public struct Iterator: AsyncIteratorProtocol {
        let fetch: @Sendable (String?) async throws -> Page<Item>
        var items: ArraySlice<Item> = []
        var cursor: String?
        var begun = false

        public mutating func next() async throws -> Item? {
            while items.isEmpty {
                if begun && cursor == nil { return nil }
                let page = try await fetch(cursor)
                (begun, cursor, items) = (true, page.nextCursor, page.items[...])
            }
            return items.removeFirst()
        }
    }
}

struct CallContext: Encodable {
    let projectId: ProjectId?
    let actor: ActorRef?
    let correlationId: String?
    let causationId: String?
    let idempotencyKey: String?
    let expectedVersion: Int?

    init(_ scope: Scope, idempotencyKey: String?, expectedVersion: Int?) {
        let cause = scope.cause ?? Inside.cause
        projectId = scope.projectId
        actor = scope.actor
        correlationId = cause?.correlationId
        causationId = cause?.causationId
        self.idempotencyKey = idempotencyKey
        self.expectedVersion = expectedVersion
    }

    enum CodingKeys: String, CodingKey {
        case actor
        case projectId = "project_id"
        case correlationId = "correlation_id"
        case causationId = "causation_id"
        case idempotencyKey = "idempotency_key"
        case expectedVersion = "expected_version"
    }
}

func encode(_ value: some Encodable) throws -> String {
    String(decoding: try JSONEncoder().encode(value), as: UTF8.self)
}
