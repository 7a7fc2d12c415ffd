// What a call throws: the kind of failure as a case, the exact reason in `code`.

import Foundation

/// A failure in particulars. `message` is a sentence for logs; it may change.
public struct ErrorBody: Decodable, Sendable, Equatable {
    /// Exactly what went wrong; stable.
    public let code: ErrorCode
    public let message: String
    /// The path of the input field at fault.
    public let field: String?
    /// Particulars, such as `max` or `allowed`.
    public let details: [String: JSON]
}

/// Any failure of Ventros, by its kind.
public enum VentrosError: Error, Sendable, Equatable {
    /// The input is malformed or out of range. Further failures of the same call: a form shows all of them.
    case validation(ErrorBody, others: [VentrosError])
    /// Absent, deleted or in another project: indistinguishable on purpose.
    case notFound(ErrorBody)
    /// A version or a unique key is taken.
    case conflict(ErrorBody)
    /// The state does not allow it now.
    case invalidState(ErrorBody)
    /// The actor lacks the right.
    case forbidden(ErrorBody)
    /// A plan limit, the size of a collection, or a rate.
    case limitExceeded(ErrorBody)
    /// Nobody proved who is calling.
    case unauthenticated(ErrorBody)
    /// Store or network; a later try may succeed.
    case unavailable(ErrorBody)
    /// A provider answered with an error.
    case external(ErrorBody)
    /// It took too long or was cancelled.
    case timeout(ErrorBody)
    /// A defect of Ventros; please report it.
    case `internal`(ErrorBody)
    /// A stored row cannot be read; it is never guessed.
    case corruptData(ErrorBody)

    /// What all kinds have.
    public var failure: ErrorBody {
        switch self {
        case .validation(let failure, _), .notFound(let failure), .conflict(let failure), .invalidState(let failure),
            .forbidden(let failure), .limitExceeded(let failure), .unauthenticated(let failure),
            .unavailable(let failure), .external(let failure), .timeout(let failure), .internal(let failure),
            .corruptData(let failure):
            return failure
        }
    }

    /// Exactly what went wrong; stable.
    public var code: ErrorCode { failure.code }

    /// The path of the input field at fault.
    public var field: String? { failure.field }
}

extension VentrosError: Decodable {
    enum CodingKeys: CodingKey {
        case kind, errors
    }

    public init(from decoder: Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let failure = try ErrorBody(from: decoder)
        switch try fields.decode(String.self, forKey: .kind) {
        case "validation":
            self = .validation(failure, others: try fields.decodeIfPresent([VentrosError].self, forKey: .errors) ?? [])
        case "not_found": self = .notFound(failure)
        case "conflict": self = .conflict(failure)
        case "invalid_state": self = .invalidState(failure)
        case "forbidden": self = .forbidden(failure)
        case "limit_exceeded": self = .limitExceeded(failure)
        case "unauthenticated": self = .unauthenticated(failure)
        case "unavailable": self = .unavailable(failure)
        case "external": self = .external(failure)
        case "timeout": self = .timeout(failure)
        case "internal": self = .internal(failure)
        case "corrupt_data": self = .corruptData(failure)
        case let other:
            throw DecodingError.dataCorruptedError(forKey: .kind, in: fields, debugDescription: "no kind: \(other)")
        }
    }
}
