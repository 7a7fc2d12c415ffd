// The data that crosses to the engine and back, as far as it is not generated.

import Foundation

/// A field of a change. Keeping a field and setting it to nil mean two different things.
public enum Patch<Value> {
    /// The field stays as it is.
    case keep
    /// The field becomes this.
    case set(Value)
}

extension Patch: Equatable where Value: Equatable {}
extension Patch: Sendable where Value: Sendable {}

/// A value that lies elsewhere, so that a struct can hold one of its own kind.
public indirect enum Indirect<Value: Codable & Sendable & Equatable>: Codable, Sendable, Equatable {
    case value(Value)

    public init(from decoder: Decoder) throws {
        self = .value(try Value(from: decoder))
    }

    public func encode(to encoder: Encoder) throws {
        guard case .value(let value) = self else { return }
        try value.encode(to: encoder)
    }
}

/// An instant as RFC 3339 in UTC, to the microsecond.
public struct Instant: RawRepresentable, Codable, Hashable, Sendable {
    public let rawValue: String

    public init(rawValue: String) {
        self.rawValue = rawValue
    }

    public init(_ date: Date) {
        let format = ISO8601DateFormatter()
        format.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        rawValue = format.string(from: date)
    }

    /// The same as Foundation has it, to the millisecond.
    public var date: Date? {
        let format = ISO8601DateFormatter()
        format.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        return format.date(from: rawValue) ?? ISO8601DateFormatter().date(from: rawValue)
    }
}

/// Any JSON.
public enum JSON: Codable, Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case text(String)
    case list([JSON])
    case object([String: JSON])

    public init(from decoder: Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let bool = try? value.decode(Bool.self) {
            self = .bool(bool)
        } else if let integer = try? value.decode(Int.self) {
            self = .integer(integer)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let text = try? value.decode(String.self) {
            self = .text(text)
        } else if let list = try? value.decode([JSON].self) {
            self = .list(list)
        } else {
            self = .object(try value.decode([String: JSON].self))
        }
    }

    public func encode(to encoder: Encoder) throws {
        var value = encoder.singleValueContainer()
        switch self {
        case .null: try value.encodeNil()
        case .bool(let bool): try value.encode(bool)
        case .integer(let integer): try value.encode(integer)
        case .number(let number): try value.encode(number)
        case .text(let text): try value.encode(text)
        case .list(let list): try value.encode(list)
        case .object(let object): try value.encode(object)
        }
    }
}

/// One page of a list.
public struct Page<Item: Decodable & Sendable>: Decodable, Sendable {
    public let items: [Item]
    /// Give it to the next call; nil on the last page.
    public let nextCursor: String?
    /// Give it to a call to read back; nil on the first page.
    public let prevCursor: String?
    public let hasMore: Bool
    /// How many there are in all, where the operation counts.
    public let total: Int?

    enum CodingKeys: String, CodingKey {
        case items, total
        case nextCursor = "next_cursor"
        case prevCursor = "prev_cursor"
        case hasMore = "has_more"
    }
}

/// Something that an event is about.
public struct Subject: Decodable, Hashable, Sendable {
    public let kind: String
    public let id: String
}

/// Something that happened, as the log keeps it.
public struct Event: Decodable, Sendable {
    public let id: String
    /// Such as `contact.created`.
    public let type: String
    /// What changed; the case tells what happened.
    public let data: EventData
    public let schemaVersion: Int
    public let aggregateKind: String
    public let aggregateId: String
    public let aggregateVersion: Int
    public let projectId: ProjectId?
    /// Its number in the project's log: dense, in commit order. The one to remember.
    public let seq: Int
    /// Its number in the whole store.
    public let position: Int
    public let commitId: String
    public let occurredAt: Instant
    public let recordedAt: Instant
    /// Who caused it.
    public let actor: ActorRef
    public let source: String
    /// The operation that recorded it.
    public let command: String?
    public let correlationId: String
    public let causationId: String?
    public let subjects: [Subject]
    public let metadata: JSON?
    /// When personal data was taken out of it; null for nearly all.
    public let redactedAt: Instant?

    enum CodingKeys: String, CodingKey {
        case id, type, data, seq, position, actor, source, command, subjects, metadata
        case schemaVersion = "schema_version"
        case aggregateKind = "aggregate_kind"
        case aggregateId = "aggregate_id"
        case aggregateVersion = "aggregate_version"
        case projectId = "project_id"
        case commitId = "commit_id"
        case occurredAt = "occurred_at"
        case recordedAt = "recorded_at"
        case correlationId = "correlation_id"
        case causationId = "causation_id"
        case redactedAt = "redacted_at"
    }

    public init(from decoder: Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        id = try fields.decode(String.self, forKey: .id)
        type = try fields.decode(String.self, forKey: .type)
        data = try EventData(type: type, from: fields.superDecoder(forKey: .data))
        schemaVersion = try fields.decode(Int.self, forKey: .schemaVersion)
        aggregateKind = try fields.decode(String.self, forKey: .aggregateKind)
        aggregateId = try fields.decode(String.self, forKey: .aggregateId)
        aggregateVersion = try fields.decode(Int.self, forKey: .aggregateVersion)
        projectId = try fields.decodeIfPresent(ProjectId.self, forKey: .projectId)
        seq = try fields.decode(Int.self, forKey: .seq)
        position = try fields.decode(Int.self, forKey: .position)
        commitId = try fields.decode(String.self, forKey: .commitId)
        occurredAt = try fields.decode(Instant.self, forKey: .occurredAt)
        recordedAt = try fields.decode(Instant.self, forKey: .recordedAt)
        actor = try fields.decode(ActorRef.self, forKey: .actor)
        source = try fields.decode(String.self, forKey: .source)
        command = try fields.decodeIfPresent(String.self, forKey: .command)
        correlationId = try fields.decode(String.self, forKey: .correlationId)
        causationId = try fields.decodeIfPresent(String.self, forKey: .causationId)
        subjects = try fields.decode([Subject].self, forKey: .subjects)
        metadata = try fields.decodeIfPresent(JSON.self, forKey: .metadata)
        redactedAt = try fields.decodeIfPresent(Instant.self, forKey: .redactedAt)
    }
}

/// What `runPending` did.
public struct RunReport: Decodable, Equatable, Sendable {
    /// Jobs and timers that were run.
    public private(set) var jobs = 0
    /// Events that reactions were run for.
    public private(set) var reactions = 0
    /// Runs that failed and will be tried again, or were given up on.
    public private(set) var failures = 0
    /// Events and jobs handed to callbacks and handlers.
    public private(set) var delivered = 0

    init() {}

    mutating func add(_ other: RunReport) {
        jobs += other.jobs
        reactions += other.reactions
        failures += other.failures
        delivered += other.delivered
    }
}

enum TagKey: String, CodingKey {
    case type
}

enum NoKeys: CodingKey {}

struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(_ text: String) {
        stringValue = text
    }

    init?(stringValue: String) {
        self.stringValue = stringValue
    }

    init?(intValue: Int) {
        return nil
    }
}
