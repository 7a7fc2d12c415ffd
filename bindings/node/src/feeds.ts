/** Callbacks and loops over events. One delivery is out per subscription, so a slow host holds nothing up but itself. */

import { AsyncLocalStorage } from "node:async_hooks";
import { inspect } from "node:util";
import type { CallbackFailure, Engine } from "./engine.js";
import type { Event } from "./events.js";
import type { ClaimedJob } from "./generated/types.js";

/** What led to a call. */
export interface Cause {
  /** The flow that both belong to. */
  readonly correlation_id: string;
  /** The event that was heard, or that led to the job. */
  readonly causation_id: string | null;
}

/** What follows from an event or a job is part of its flow. */
export function causeOf(cause: Event | ClaimedJob): Cause {
  // Events have a number, jobs have none.
  const causation_id = "seq" in cause ? cause.id : cause.causation_id;
  return { correlation_id: cause.correlation_id, causation_id };
}

/** What runs now, if it is a callback: where to see whether it has returned, and what it was called with. */
export const context = new AsyncLocalStorage<{ readonly callback: Running; readonly cause: Cause }>();

interface Running {
  readonly running: Promise<void> | undefined;
}

/** Whether the code runs in a callback that has not returned yet: it must not wait for callbacks, nor for itself. */
export function insideCallback(): boolean {
  return context.getStore()?.callback.running !== undefined;
}

/**
 * How long one delivery is worked on before the rest is handed back, to come again at once. Well below the lease of the
 * engine, which acknowledging renews: with slow callbacks no other process takes over what is still being handled here.
 */
const PATIENCE = 10_000;

/** Events of one delivery. */
export type Batch = Event[];

/** What a subscription may be told. */
export interface OnOptions {
  /** Cancels it. */
  signal?: AbortSignal | undefined;
  /** Keeps the process running until it is cancelled. */
  keepAlive?: boolean | undefined;
}

/** Where the deliveries of one subscription or handler go. */
export interface Feed {
  /** Given when it is subscribed. */
  token: number;
  /** The work on the present delivery, where somebody shall wait for it. */
  readonly running: Promise<void> | undefined;
  deliver(delivery: never): void;
  /** Takes nothing further. */
  stop(): void;
  /** A job of a handler was lost. Whoever has this needs to be retired: more jobs would come. */
  lose?(job: string): void;
  failure(event: Event | null, retried: boolean): CallbackFailure;
}

/** A subscription as the engine is asked for it. */
export interface Wanted {
  events: readonly string[];
  /** The name of a durable one. */
  name: string | null;
  /** What the engine reads. */
  json: string;
  signal: AbortSignal | undefined;
  keepAlive: boolean;
}

/** A running callback or handler. */
export class Subscription implements AsyncDisposable {
  readonly #callback: { cancel(): Promise<void> };

  /** @internal */
  constructor(callback: { cancel(): Promise<void> }) {
    this.#callback = callback;
  }

  /**
   * Ends it, after the event that is being handled. A durable one keeps its place in the log and goes on when it is
   * subscribed again. A handler takes no more jobs and finishes those that it has. Inside a callback it takes effect when the
   * callback returns.
   */
  cancel(): Promise<void> {
    return this.#callback.cancel();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cancel();
  }
}

/** Runs a handler, one event after the other. */
export class Callback implements Feed {
  token = 0;
  running: Promise<void> | undefined;
  readonly #engine: Engine;
  readonly #wanted: Wanted;
  readonly #handler: (event: never) => unknown;
  readonly #abort = () => void this.cancel();
  #stopped = false;
  #cancelled: Promise<void> | undefined;

  private constructor(engine: Engine, wanted: Wanted, handler: (event: never) => unknown) {
    this.#engine = engine;
    this.#wanted = wanted;
    this.#handler = handler;
  }

  /** Subscribes, and cancels when the signal says so. */
  static async start(engine: Engine, wanted: Wanted, handler: (event: never) => unknown): Promise<Subscription> {
    if (typeof handler !== "function") throw new TypeError("the handler is no function");
    const { signal } = wanted;
    signal?.throwIfAborted();
    const callback = new Callback(engine, wanted, handler);
    await engine.subscribe(callback, wanted.json);
    if (wanted.keepAlive) engine.hold();
    signal?.addEventListener("abort", callback.#abort, { once: true });
    if (signal?.aborted) callback.#abort();
    return new Subscription(callback);
  }

  deliver(batch: Batch): void {
    const running = Promise.resolve(batch)
      .then((events) => this.#serve(events))
      .finally(() => {
        // Settling may have brought the next delivery.
        if (this.running === running) this.running = undefined;
      });
    this.running = running;
  }

  stop(): void {
    this.#stopped = true;
  }

  cancel(): Promise<void> {
    if (this.#cancelled !== undefined) return this.#cancelled;
    this.stop();
    this.#wanted.signal?.removeEventListener("abort", this.#abort);
    const ended = (async () => {
      await this.running;
      await this.#engine.unsubscribe(this.token);
      if (this.#wanted.keepAlive) this.#engine.release();
    })();
    // Whoever is inside a callback would wait for themselves.
    this.#cancelled = insideCallback() ? Promise.resolve() : ended;
    return this.#cancelled;
  }

  failure(event: Event | null, retried: boolean): CallbackFailure {
    const { events, name } = this.#wanted;
    return { events, name, event, job: null, retried };
  }

  async #serve(batch: Batch): Promise<void> {
    const durable = this.#wanted.name !== null;
    const patience = performance.now() + PATIENCE;
    let done = 0;
    let error: string | undefined;
    for (const event of batch) {
      if (this.#stopped || (durable && performance.now() > patience)) break;
      try {
        const inside = { callback: this, cause: causeOf(event) };
        await context.run(inside, this.#handler as (event: Event) => unknown, event);
      } catch (thrown) {
        this.#engine.report(thrown, this.failure(event, durable));
        if (durable) {
          error = explain(thrown);
          break;
        }
      }
      done += 1;
    }
    this.#engine.drain([{ token: this.token, done, ...(error !== undefined && { error }) }]);
  }
}

/** Events for a `for await` loop: asking for the next one acknowledges the one before. */
export class EventStream<E> implements AsyncIterable<E> {
  readonly #engine: Engine;
  readonly #wanted: Wanted;

  /** @internal */
  constructor(engine: Engine, wanted: Wanted) {
    this.#engine = engine;
    this.#wanted = wanted;
  }

  /**
   * Subscribes and reads. Leaving the loop, by `break` or by throwing, leaves the event at which it happens
   * unacknowledged: it comes again when the same name is read again. The loop ends when the CRM is closed.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<E, void, undefined> {
    const { signal, json } = this.#wanted;
    signal?.throwIfAborted();
    const mailbox = new Mailbox(this.#wanted);
    await this.#engine.subscribe(mailbox, json);
    const abort = () => mailbox.stop();
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted) abort();
    try {
      for (;;) {
        this.#engine.hold();
        const batch = await mailbox.next().finally(() => this.#engine.release());
        signal?.throwIfAborted();
        if (batch === undefined) return;
        let done = 0;
        const patience = performance.now() + PATIENCE;
        try {
          for (const event of batch) {
            yield event as E;
            done += 1;
            if (mailbox.stopped || performance.now() > patience) break;
          }
        } finally {
          this.#engine.drain([{ token: mailbox.token, done }]);
        }
      }
    } finally {
      signal?.removeEventListener("abort", abort);
      await this.#engine.unsubscribe(mailbox.token);
    }
  }
}

/** Room for the one delivery that a loop has yet to read. */
class Mailbox implements Feed {
  /** Nobody waits for a loop: it may be the one who waits. */
  readonly running = undefined;
  token = 0;
  stopped = false;
  readonly #wanted: Wanted;
  #batch: Batch | undefined;
  #wake: (() => void) | undefined;

  constructor(wanted: Wanted) {
    this.#wanted = wanted;
  }

  deliver(batch: Batch): void {
    this.#batch = batch;
    this.#wake?.();
  }

  stop(): void {
    this.stopped = true;
    this.#wake?.();
  }

  /** The next delivery, or undefined when there is no further one. */
  async next(): Promise<Batch | undefined> {
    while (this.#batch === undefined && !this.stopped) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const batch = this.stopped ? undefined : this.#batch;
    this.#batch = undefined;
    return batch;
  }

  failure(event: Event | null, retried: boolean): CallbackFailure {
    const { events, name } = this.#wanted;
    return { events, name, event, job: null, retried };
  }
}

/** What the log and the dead letter say about something thrown. */
export function explain(thrown: unknown): string {
  return thrown instanceof Error ? String(thrown) : inspect(thrown);
}
