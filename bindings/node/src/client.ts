/** The open CRM and its projects. */

import { fileURLToPath } from "node:url";
import { type Actor, type Command, type CommandOptions, Scope } from "./calls.js";
import { Engine, type ErrorListener } from "./engine.js";
import { wireError } from "./errors.js";
import type { Event, EventFor, Pattern } from "./events.js";
import { Callback, causeOf, EventStream, type OnOptions, Subscription, type Wanted } from "./feeds.js";
import { ProjectCollections, SystemCollections } from "./generated/client.js";
import type { ClaimedJob, ProjectId, SagaDefinition } from "./generated/types.js";
import { type HandleOptions, type JobHandler, Worker } from "./jobs.js";
import { type NativeClock, native } from "./native.js";
import { encode } from "./wire.js";

/** How a CRM is opened. */
export interface OpenOptions {
  /** A clock for tests; the system's without it. */
  clock?: ManualClock | undefined;
  /**
   * For tests, beside a manual clock: ids and secrets depend on it alone, so that the same calls give the same results.
   * Whoever knows it can guess every secret.
   */
  seed?: number | undefined;
  /** Whether reactions, timers and callbacks run by themselves; true unless told. Otherwise call `runPending`. */
  background?: boolean | undefined;
  /** Who calls by default; without it the host itself, which may do everything. */
  actor?: Actor | undefined;
  /**
   * Seals secrets such as the API key of a channel: 32 random bytes, or the same in base64. Keep it apart from the store;
   * without it nothing that needs a secret can be kept.
   */
  encryptionKey?: EncryptionKey | undefined;
  /**
   * Keys that were in use before: what is still sealed under them opens, until `credentials.rotateKeys` has sealed everything
   * under `encryptionKey`.
   */
  oldEncryptionKeys?: readonly EncryptionKey[] | undefined;
  /** Whether calls to the outside are made, such as those of webhooks; true unless told. Otherwise they wait. */
  http?: boolean | undefined;
  /**
   * Hosts outside the public net that may be called although somebody else named them, such as `n8n.internal` or
   * `10.0.0.5:5678`.
   */
  privateHosts?: readonly string[] | undefined;
  /** Allows addresses without TLS, for development. */
  allowHttp?: boolean | undefined;
  /** Keeps the process running until the CRM is closed. Without it a process that only listens ends. */
  keepAlive?: boolean | undefined;
  /** Hears of failing callbacks and subscriptions; without it each is a warning of the process. */
  onError?: ErrorListener | undefined;
}

/** 32 random bytes, or the same in base64. */
export type EncryptionKey = Uint8Array | string;

function keyText(key: EncryptionKey): string {
  return key instanceof Uint8Array ? Buffer.from(key).toString("base64") : key;
}

/** What a durable subscription may be told. */
export interface SubscribeOptions<P extends Pattern = Pattern> extends OnOptions {
  /** Which events; all unless told. */
  events?: P | readonly P[] | undefined;
  /** Where a new name begins: `start`, `now`, or after an event's `seq`; `start` unless told. A known one goes on. */
  start?: "start" | "now" | number | undefined;
  /** How often an event is tried before it is given up as a dead letter: 1 to 100, 10 unless told. */
  maxAttempts?: number | undefined;
}

/** What `runPending` did. */
export interface RunReport {
  /** Jobs and timers that were run. */
  jobs: number;
  /** Events that reactions were run for. */
  reactions: number;
  /** Runs that failed and will be tried again, or were given up on. */
  failures: number;
  /** Events and jobs handed to callbacks and handlers. */
  delivered: number;
}

/** What each command of a transaction gives. */
export type Results<Commands extends readonly Command<unknown>[]> = {
  -readonly [Index in keyof Commands]: Commands[Index] extends Command<infer Result> ? Result : never;
};

/** A clock that stands still until it is told to move, for tests. */
export class ManualClock {
  /** @internal */
  readonly native: NativeClock;

  constructor(now: Date) {
    this.native = new native.ManualClock(now.getTime() * 1_000);
  }

  /** The instant it shows. */
  now(): Date {
    return new Date(this.native.now() / 1_000);
  }

  /** Moves it by so many milliseconds. */
  advance(milliseconds: number): void {
    this.native.advance(Math.round(milliseconds * 1_000));
  }
}

/**
 * Opens a CRM, creating its store if there is none.
 *
 * @param location A path, a URL such as `sqlite:///crm.db`, `file:` or `postgresql://user@host/database`, or `:memory:`.
 */
export async function open(location: string | URL, options: OpenOptions = {}): Promise<Crm> {
  const {
    clock,
    seed,
    background = true,
    actor,
    encryptionKey,
    oldEncryptionKeys,
    http = true,
    privateHosts = [],
    allowHttp = false,
    keepAlive = false,
    onError,
  } = options;
  try {
    const json = encode({
      background,
      encryption_key: encryptionKey === undefined ? undefined : keyText(encryptionKey),
      old_encryption_keys: oldEncryptionKeys?.map(keyText),
      seed,
      http,
      private_hosts: privateHosts,
      allow_http: allowHttp,
    });
    const handle = await native.Engine.open(placeOf(location), json, clock?.native);
    const scope = new Scope(null, null);
    return new Crm(new Engine(handle, onError, keepAlive), actor === undefined ? scope : scope.as(actor));
  } catch (error) {
    throw wireError(error, new Error().stack?.replace(/^.*/, ""));
  }
}

/** A location as the engine reads it. */
export function placeOf(location: string | URL): string {
  if (!(location instanceof URL)) return location;
  return location.protocol === "file:" ? fileURLToPath(location) : location.href;
}

/** An open CRM. Close it, or declare it with `await using`. */
export class Crm extends SystemCollections implements AsyncDisposable {
  /** The project as this handle's actor sees it, or as another does. */
  project(id: ProjectId, options: { actor?: Actor | undefined } = {}): Project {
    const scope = new Scope(id, this._scope.actor);
    return new Project(this._engine, options.actor === undefined ? scope : scope.as(options.actor));
  }

  /** The same CRM as `actor` sees it. */
  as(actor: Actor): Crm {
    return new Crm(this._engine, this._scope.as(actor));
  }

  /**
   * Calls `handler` with each job of this kind (of all projects, which take turns), at least once, as many at a time as `concurrency`
   * says.
   *
   * Returning, or resolving, ends the job with what is returned. Throwing `Permanent` gives it up, `RateLimited` puts it off, and
   * anything else, `Retry` above all, has it tried again later, until its tries are used up. While the handler runs the job stays its
   * own, up to `timeoutSeconds`; a process that dies loses it after 30 seconds. What a handler gives for a job that was lost or
   * cancelled meanwhile counts for nothing.
   *
   * @param kind `host.` and a name, as in `jobs.enqueue`.
   * @param handler `job.idempotency_key` is the same at every try; `signal` is aborted when the job is lost.
   * @returns Once it takes jobs.
   */
  async handle(kind: string, handler: JobHandler, options: HandleOptions = {}): Promise<Subscription> {
    return new Subscription(await Worker.start(this._engine, null, kind, handler, options));
  }

  /**
   * Makes a kind of saga known to this process: from now on `sagas.start` takes it, and the background work here carries its sagas on.
   *
   * Every process that works on them defines the same. Sagas of a kind that a process does not know wait for one that does; those of
   * a version that was taken out fail with `saga_migration_missing`.
   */
  async defineSaga(definition: SagaDefinition): Promise<void> {
    await this._call<null>("engine.define_saga", definition);
  }

  /** Does all work that is due: reactions, timers, jobs and callbacks. Returns when nothing is left. */
  async runPending(): Promise<RunReport> {
    const total: RunReport = { jobs: 0, reactions: 0, failures: 0, delivered: 0 };
    do {
      const report = await this._call<RunReport>("engine.run_pending", {});
      for (const key of Object.keys(total) as (keyof RunReport)[]) total[key] += report[key];
    } while (await this._engine.idle());
    return total;
  }

  /** Runs several of `commands` in one commit: all or nothing. Gives their results in order. */
  transact<const Commands extends readonly Command<unknown>[]>(
    commands: Commands,
    options?: Omit<CommandOptions, "expectedVersion">,
  ): Promise<Results<Commands>> {
    return this._call("engine.transact", transaction(commands), options);
  }

  /** Ends callbacks and background work and closes the store. Closing twice is fine. */
  close(): Promise<void> {
    return this._engine.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** One project of an open CRM, as one actor sees it. */
export class Project extends ProjectCollections {
  /** The project's id. */
  get id(): ProjectId {
    return this._scope.projectId as ProjectId;
  }

  /** The same project as `actor` sees it. */
  as(actor: Actor): Project {
    return new Project(this._engine, this._scope.as(actor));
  }

  /**
   * The same project, for what follows from an event or a job: what is recorded through it belongs to the same flow
   * (`correlation_id`, seen by `events.trace`) and names the event (`causation_id`).
   *
   * For loops over events. Callbacks and handlers need it not: their calls are taken as following from the event or the job that
   * they were called with.
   */
  causedBy(cause: Event | ClaimedJob): Project {
    return new Project(this._engine, this._scope.causedBy(causeOf(cause)));
  }

  /**
   * Calls `handler` with what happens from now on, as long as this process lives, one event after the other.
   *
   * @param events A type (`contact.created`), all of a group (`contact.*`), `*`, or several.
   * @param handler May be async: the next event waits for it. What it throws goes to `onError`.
   * @returns Once it listens.
   */
  on<const P extends Pattern>(
    events: P | readonly P[],
    handler: (event: EventFor<P>) => unknown,
    options: OnOptions = {},
  ): Promise<Subscription> {
    const listed = list(events);
    const json = encode({ kind: "live", project_id: this.id, events: listed });
    return Callback.start(this._engine, wanted(listed, null, json, options), handler);
  }

  /**
   * Every event at least once, in order, also those recorded while nobody listened. With a handler it is called with each;
   * without one the result is for a `for await` loop.
   *
   * @param name Names the place in the log; the same name goes on where it stopped.
   * @param handler Returning acknowledges, for an async one resolving. Throwing or rejecting tries again later, and gives
   * the event up as a dead letter in the end. A handler shall take less than 30 seconds for an event.
   */
  subscribe<const P extends Pattern = "*">(name: string, options?: SubscribeOptions<P>): EventStream<EventFor<P>>;
  subscribe<const P extends Pattern = "*">(
    name: string,
    handler: (event: EventFor<P>) => unknown,
    options?: SubscribeOptions<P>,
  ): Promise<Subscription>;
  subscribe(
    name: string,
    handler: ((event: never) => unknown) | SubscribeOptions = {},
    options: SubscribeOptions = {},
  ): EventStream<unknown> | Promise<Subscription> {
    const given = typeof handler === "function" ? options : handler;
    const { events = "*", start = "start", maxAttempts } = given;
    const listed = list(events);
    const json = encode({
      kind: "durable",
      project_id: this.id,
      name,
      events: listed,
      start: typeof start === "number" ? { type: "after", seq: start } : { type: start },
      max_attempts: maxAttempts,
    });
    const asked = wanted(listed, name, json, given);
    return typeof handler === "function"
      ? Callback.start(this._engine, asked, handler)
      : new EventStream(this._engine, asked);
  }

  /**
   * Calls `handler` with each job of this kind (of this project), at least once, as many at a time as `concurrency`
   * says.
   *
   * Returning, or resolving, ends the job with what is returned. Throwing `Permanent` gives it up, `RateLimited` puts it off, and
   * anything else, `Retry` above all, has it tried again later, until its tries are used up. While the handler runs the job stays its
   * own, up to `timeoutSeconds`; a process that dies loses it after 30 seconds. What a handler gives for a job that was lost or
   * cancelled meanwhile counts for nothing.
   *
   * @param kind `host.` and a name, as in `jobs.enqueue`.
   * @param handler `job.idempotency_key` is the same at every try; `signal` is aborted when the job is lost.
   * @returns Once it takes jobs.
   */
  async handle(kind: string, handler: JobHandler, options: HandleOptions = {}): Promise<Subscription> {
    return new Subscription(await Worker.start(this._engine, this.id, kind, handler, options));
  }

  /** Runs several of `commands` in one commit: all or nothing. Gives their results in order. */
  transact<const Commands extends readonly Command<unknown>[]>(
    commands: Commands,
    options?: Omit<CommandOptions, "expectedVersion">,
  ): Promise<Results<Commands>> {
    return this._call("engine.transact", transaction(commands), options);
  }
}

function transaction(commands: readonly Command<unknown>[]): object {
  return { commands: commands.map(({ operation, input }) => ({ operation, input })) };
}

function list(events: Pattern | readonly Pattern[]): readonly Pattern[] {
  return typeof events === "string" ? [events] : events;
}

function wanted(events: readonly string[], name: string | null, json: string, options: OnOptions): Wanted {
  return { events, name, json, signal: options.signal, keepAlive: options.keepAlive ?? false };
}
