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
}

/** Bytes and text reach the engine as they are: signatures are over the very bytes. */
export function rawJson(raw: Raw | null | undefined): unknown {
  return raw instanceof Uint8Array ? utf8.decode(raw) : raw;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * JSON of what the caller gave: an absent or undefined field is left out, null stays.
 *
 * @throws TypeError for what JSON cannot say. A number that is none would silently become null.
 */
export function encode(value: object): string {
  const json = JSON.stringify(value);
  if (json.includes("null")) refuseNonNumbers(value, "");
  return json;
}

function refuseNonNumbers(value: unknown, path: string): void {
  if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError(`${path} is ${value}, not a number`);
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) refuseNonNumbers(inner, path ? `${path}.${key}` : key);
}
