/**
 * Ventros: a CRM that lives inside your program.
 *
 * ```ts
 * import { open } from "ventros";
 *
 * await using crm = await open("crm.db");
 * const acme = await crm.projects.create({ name: "Acme", default_region: "BR" });
 * const shop = crm.project(acme.id);
 * const customer = await shop.contacts.create({ name: "First customer", phone: "(11) 90000-0001" });
 * ```
 *
 * @module
 */

export type { Actor, CallOptions, CommandOptions, Pager } from "./calls.js";
export { Command } from "./calls.js";
export type { EncryptionKey, OpenOptions, Results, RunReport, SubscribeOptions } from "./client.js";
export { Crm, ManualClock, open, Project } from "./client.js";
export * as commands from "./commands.js";
export type { CopyOptions, CopyProgress, CopyReport } from "./copying.js";
export { copy } from "./copying.js";
export type { CallbackFailure, ErrorListener } from "./engine.js";
export type { ErrorBody, ErrorCode, ErrorKind } from "./errors.js";
export {
  ConflictError,
  CorruptDataError,
  ExternalError,
  ForbiddenError,
  InternalError,
  InvalidStateError,
  LimitExceededError,
  NotFoundError,
  OperationTimeoutError,
  UnauthenticatedError,
  UnavailableError,
  ValidationError,
  VentrosError,
} from "./errors.js";
export type * as events from "./events.js";
export type { CustomEvent, Event, EventFor, EventType, Pattern, Subject } from "./events.js";
export type { EventStream, OnOptions, Subscription } from "./feeds.js";
export type { HandleOptions, JobContext, JobHandler } from "./jobs.js";
export { Permanent, RateLimited, Retry } from "./jobs.js";
export * as types from "./types.js";
export type { Page, Raw } from "./wire.js";
