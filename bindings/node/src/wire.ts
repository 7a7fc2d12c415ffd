/** The data that crosses to the engine and back, as far as it is not generated. */

import type { ActorRef, ProjectId, Timestamp } from "./generated/types.js";

declare const brand: unique symbol;

/** A text of one meaning: the id of a contact is no id of a chat. */
export type Branded<Name extends string> = string & { readonly [brand]: Name };

/** Says what a text means. The engine checks it. */
export function branded<Text extends string>(text: string): Text {
  return text as Text;
}

/** JSON as somebody else sent it: decoded, or the very bytes or text. */
export type Raw = object | string | Uint8Array;

/** One page of a list. */
export interface Page<T> {
  items: T[];
  /** Give it to the next call; null on the last page. */
  next_cursor: string | null;
  /** Give it to a call to read back; null on the first page. */
  prev_cursor: string | null;
  has_more: boolean;
  /** How many there are in all, where the operation counts. */
  total: number | null;
}

/** Something that an event is about. */
export interface Subject {
  kind: string;
  id: string;
}

/** Something that happened, as the log keeps it. */
export interface Recorded<Type extends string, Kind extends string, Id extends string, Data> {
  id: string;
  type: Type;
  /** What changed. */
  data: Data;
  schema_version: number;
  aggregate_kind: Kind;
  aggregate_id: Id;
  aggregate_version: number;
  project_id: ProjectId;
  /** Its number in the project's log: dense, in commit order. The one to remember. */
  seq: number;
  /** Its number in the whole store. */
  position: number;
  commit_id: string;
  occurred_at: Timestamp;
  recorded_at: Timestamp;
  /** Who caused it. */
  actor: ActorRef;
  source: string;
  /** The operation that recorded it. */
  command: string | null;
  correlation_id: string;
  causation_id: string | null;
  subjects: Subject[];
  metadata: Record<string, unknown> | null;
  /** When personal data was taken out of it; null for nearly all. */
  redacted_at: Timestamp | null;
}

/** Bytes and text reach the engine as they are: signatures are over the very bytes. */
export function rawJson(raw: Raw | null | undefined): unknown {
  return raw instanceof Uint8Array ? utf8.decode(raw) : raw;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What may be a number that loses digits. */
const LONG = /\d{16}|\de\+\d/;
/** Stands before the digits of an integer on its way through `JSON`; no text of the engine holds a NUL. */
const EXACT = "\0integer:";
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * JSON of what the caller gave: an absent or undefined field is left out, null stays.
 *
 * @throws TypeError for what JSON cannot say. A number that is none would silently become null, and an integer beyond
 * 2^53 has lost digits already: give a bigint, which is written as it is.
 */
export function encode(value: object): string {
  let json: string;
  try {
    json = JSON.stringify(value);
  } catch {
    // A bigint, or what fails again.
    const exact = (_: string, inner: unknown) => (typeof inner === "bigint" ? `${EXACT}${inner}` : inner);
    json = JSON.stringify(value, exact).replace(/"\\u0000integer:(-?\d+)"/g, "$1");
  }
  if (json.includes("null") || LONG.test(json)) refuseInexact(value, "");
  return json;
}

/** The value of a JSON text; integers beyond 2^53 are bigints, for a number would be another one. */
export function decode(text: string): unknown {
  if (!LONG.test(text)) return JSON.parse(text);
  let found = false;
  const marked = text.replace(TOKENS, (token) => {
    if (!/^-?\d+$/.test(token) || Number.isSafeInteger(Number(token))) return token;
    found = true;
    return `"\\u0000integer:${token}"`;
  });
  if (!found) return JSON.parse(text);
  return JSON.parse(marked, (_, inner: unknown) =>
    typeof inner === "string" && inner.startsWith(EXACT) ? BigInt(inner.slice(EXACT.length)) : inner,
  );
}

function refuseInexact(value: unknown, path: string): void {
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new TypeError(`${path} is ${value}, not a number`);
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      throw new TypeError(`${path} is beyond 2^53 and has lost digits: give a bigint`);
    }
  }
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) refuseInexact(inner, path ? `${path}.${key}` : key);
}
