/** What a call rejects with: one class per kind of failure, the exact reason in `code`. */

import type { ErrorCodes } from "./generated/errors.js";

/** What kind of failure it is; each has a class. */
export type ErrorKind = keyof ErrorCodes;

/** What exactly went wrong; stable. The documentation of each operation lists its codes. */
export type ErrorCode = ErrorCodes[ErrorKind];

/** An error as the engine writes it. */
export interface ErrorBody {
  kind: ErrorKind;
  code: ErrorCode;
  message: string;
  field: string | null;
  details: Record<string, unknown>;
  errors: ErrorBody[];
}

/** Any failure of Ventros. `message` is a sentence for logs; it may change. */
export class VentrosError extends Error {
  readonly kind: ErrorKind;
  /** Exactly what went wrong; stable. */
  readonly code: ErrorCode;
  /** The path of the input field at fault. */
  readonly field: string | null;
  /** Particulars, such as `max` or `allowed`. */
  readonly details: Record<string, unknown>;
  /** Further failures of the same call: a form shows all of them. */
  readonly errors: readonly VentrosError[];

  /** @param trace Where the call was made, when that is not here. */
  constructor(body: ErrorBody, trace?: string) {
    super(body.message);
    this.kind = body.kind;
    this.code = body.code;
    this.field = body.field;
    this.details = body.details;
    this.errors = body.errors.map((other) => VentrosError.from(other));
    if (trace !== undefined) this.stack = `${this}${trace}`;
  }

  /** The error for its wire form, such as one that `toJSON` gave in another thread. */
  static from(body: ErrorBody, trace?: string): VentrosError {
    return new (CLASSES[body.kind] ?? VentrosError)(body, trace);
  }

  /** The wire form. */
  toJSON(): ErrorBody {
    const { kind, code, message, field, details, errors } = this;
    return { kind, code, message, field, details, errors: errors.map((other) => other.toJSON()) };
  }

  override toString(): string {
    const place = this.field === null ? "" : ` (${this.field})`;
    const others = this.errors.map((other) => `; ${other.code}${other.field === null ? "" : ` (${other.field})`}`);
    return `${this.name}: ${this.code}${place}: ${this.message}${others.join("")}`;
  }
}

/** The input is malformed or out of range. */
export class ValidationError extends VentrosError {
  declare readonly code: ErrorCodes["validation"];
}

/** Absent, deleted or in another project: indistinguishable on purpose. */
export class NotFoundError extends VentrosError {
  declare readonly code: ErrorCodes["not_found"];
}

/** A version or a unique key is taken. */
export class ConflictError extends VentrosError {
  declare readonly code: ErrorCodes["conflict"];
}

/** The state does not allow it now. */
export class InvalidStateError extends VentrosError {
  declare readonly code: ErrorCodes["invalid_state"];
}

/** The actor lacks the right. */
export class ForbiddenError extends VentrosError {
  declare readonly code: ErrorCodes["forbidden"];
}

/** A plan limit, the size of a collection, or a rate. */
export class LimitExceededError extends VentrosError {
  declare readonly code: ErrorCodes["limit_exceeded"];
}

/** Nobody proved who is calling. */
export class UnauthenticatedError extends VentrosError {
  declare readonly code: ErrorCodes["unauthenticated"];
}

/** Store or network; a later try may succeed. */
export class UnavailableError extends VentrosError {
  declare readonly code: ErrorCodes["unavailable"];
}

/** A provider answered with an error. */
export class ExternalError extends VentrosError {
  declare readonly code: ErrorCodes["external"];
}

/** It took too long or was cancelled. */
export class OperationTimeoutError extends VentrosError {
  declare readonly code: ErrorCodes["timeout"];
}

/** A defect of Ventros; please report it. */
export class InternalError extends VentrosError {
  declare readonly code: ErrorCodes["internal"];
}

/** A stored row cannot be read; it is never guessed. */
export class CorruptDataError extends VentrosError {
  declare readonly code: ErrorCodes["corrupt_data"];
}

/** The class of each kind. */
export const CLASSES: { readonly [Kind in ErrorKind]: new (body: ErrorBody, trace?: string) => VentrosError } = {
  validation: ValidationError,
  not_found: NotFoundError,
  conflict: ConflictError,
  invalid_state: InvalidStateError,
  forbidden: ForbiddenError,
  limit_exceeded: LimitExceededError,
  unauthenticated: UnauthenticatedError,
  unavailable: UnavailableError,
  external: ExternalError,
  timeout: OperationTimeoutError,
  internal: InternalError,
  corrupt_data: CorruptDataError,
};

// On the prototypes, where `Error` keeps its own, so that printing an error does not list it.
for (const kind of [VentrosError, ...Object.values(CLASSES)]) {
  Object.defineProperty(kind.prototype, "name", { value: kind.name, configurable: true, writable: true });
}

/** The error for what the native side threw; anything that is not in the wire form stays as it is. */
export function wireError(thrown: unknown, trace?: string): unknown {
  if (!(thrown instanceof Error) || !thrown.message.startsWith("{")) return thrown;
  return VentrosError.from(JSON.parse(thrown.message) as ErrorBody, trace);
}
