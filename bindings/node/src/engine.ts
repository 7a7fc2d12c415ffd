/** One open engine: calls that wait for their answer, callbacks that wait for events, and when the process may end. */

import { setInterval } from "node:timers";
import { setTimeout as sleep } from "node:timers/promises";
import { type ErrorBody, VentrosError, wireError } from "./errors.js";
import { type Batch, explain, type Feed, insideCallback } from "./feeds.js";
import type { ClaimedJob } from "./generated/types.js";
import type { NativeEngine, Settled } from "./native.js";
import { decode } from "./wire.js";

/** How long `close` waits for callbacks that run. */
const FAREWELL = 5_000;
/** How long it waits for jobs. */
const STOP = 30_000;

/** Hears of failures that belong to no call. */
export type ErrorListener = (error: unknown, failure: CallbackFailure) => void;

/** Where a failure that belongs to no call happened. */
export interface CallbackFailure {
  /** The events that the subscription asked for. */
  events: readonly string[];
  /** The name of a durable subscription, or the kind of jobs. */
  name: string | null;
  /** The event at which the callback failed; null when the subscription itself met an error. */
  event: { type: string; seq: number } | null;
  /** The job at which the handler failed. */
  job: ClaimedJob | null;
  /** Whether it is tried again. */
  retried: boolean;
}

type Caller = (...parameters: never[]) => unknown;

interface Call {
  resolve(output: unknown): void;
  reject(error: unknown): void;
  /** Its `stack` is formatted only when somebody needs it. */
  trace: { stack?: string };
  /** Tells its signal that there is nothing to abort any more. */
  settled: (() => void) | undefined;
}

type Answer = { ok: unknown; error?: undefined } | { error: ErrorBody };
type Delivery =
  | ["completed", number, Answer]
  | ["failed", number, ErrorBody]
  | ["live" | "durable", number, Batch]
  | ["job", number, ClaimedJob]
  | ["lost", number, string];

/** Engines that a process which ends must still close. */
const open = new Set<Engine>();
process.on("exit", () => open.forEach((engine) => void engine.closeNow()));

/** The engine behind all handles of one `open`. */
export class Engine {
  readonly #native: NativeEngine;
  readonly #onError: ErrorListener | undefined;
  readonly #calls = new Map<number, Call>();
  readonly #feeds = new Map<number, Feed>();
  /** Subscriptions that are being ended: their names are free when it is done. */
  readonly #leaving = new Set<Promise<void>>();
  readonly #signals = new WeakMap<AbortSignal, Set<number>>();
  /** Keeps the process running while somebody waits; an interval because the doorbell is weak. */
  readonly #hold = setInterval(() => {}, 0x7fff_ffff).unref();
  #holders = 0;
  #tokens = 0;
  #delivered = false;
  #closing: Promise<void> | undefined;

  constructor(native: NativeEngine, onError: ErrorListener | undefined, keepAlive: boolean) {
    this.#native = native;
    this.#onError = onError;
    if (keepAlive) this.hold();
    open.add(this);
    native.listen(() => this.drain());
  }

  /** Runs an operation on the engine's threads. `caller` is where the stack of an error begins. */
  call(operation: string, input: string, context: string, signal?: AbortSignal, caller?: Caller): Promise<unknown> {
    const trace: Call["trace"] = {};
    Error.captureStackTrace(trace, caller ?? this.call);
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const token = ++this.#tokens;
      try {
        this.#native.submit(token, operation, input, context);
      } catch (error) {
        throw wireError(error, frames(trace));
      }
      this.#calls.set(token, { resolve, reject, trace, settled: signal && this.#abortable(token, signal) });
      this.hold();
    });
  }

  /** Starts a subscription; its feed is known before the first event can come. */
  async subscribe(feed: Feed, options: string): Promise<void> {
    feed.token = ++this.#tokens;
    this.#feeds.set(feed.token, feed);
    try {
      await this.#native.subscribe(feed.token, options);
    } catch (error) {
      this.#feeds.delete(feed.token);
      throw wireError(error);
    }
  }

  /** Ends a subscription; a durable one keeps its place. */
  async unsubscribe(token: number): Promise<void> {
    if (!this.#feeds.delete(token)) return;
    const left = this.#native.cancel(token).finally(() => this.#leaving.delete(left));
    this.#leaving.add(left);
    await left;
  }

  /** Takes no more for it; what it has goes on. */
  retire(token: number): Promise<void> {
    return this.#native.cancel(token);
  }

  /** Nothing comes for it any more. */
  forget(token: number): void {
    this.#feeds.delete(token);
  }

  /** Says what became of a job; undefined hands it back. */
  reportJob(token: number, job: string, outcome: string | undefined): void {
    try {
      this.#native.report(token, job, outcome);
    } catch (error) {
      // Closed meanwhile: the job comes again elsewhere.
      const feed = this.#feeds.get(token);
      if (feed) this.report(wireError(error), feed.failure(null, true));
    }
  }

  /** Hands back what was done with earlier deliveries and takes what is there. */
  drain(settled: Settled[] = []): void {
    for (const text of this.#native.drain(settled)) {
      const [kind, token, body] = decode(text) as Delivery;
      if (kind === "completed") {
        this.#complete(token, body);
        continue;
      }
      const feed = this.#feeds.get(token);
      if (kind === "failed") {
        if (feed) this.report(VentrosError.from(body), feed.failure(null, true));
      } else if (kind === "lost") {
        feed?.lose?.(body);
      } else if (feed) {
        this.#delivered = true;
        // What a feed asked for is what it gets.
        feed.deliver(body as never);
      } else if (kind === "job") {
        this.reportJob(token, body.id, undefined);
      }
    }
  }

  /** Waits until the callbacks have handled what is here. Says whether anything was since the last time. */
  async idle(): Promise<boolean> {
    this.drain();
    // Whoever runs the callback asks, too.
    if (insideCallback()) return false;
    await this.#quiet();
    const delivered = this.#delivered;
    this.#delivered = false;
    return delivered;
  }

  /** Tells whoever listens for failures, or the process. */
  report(error: unknown, failure: CallbackFailure): void {
    try {
      if (this.#onError === undefined) warn(error, failure);
      else this.#onError(error, failure);
    } catch (another) {
      warn(another, failure);
    }
  }

  /** Keeps the process running until `release`. */
  hold(): void {
    if (this.#holders++ === 0) this.#hold.ref();
  }

  release(): void {
    if (--this.#holders === 0) this.#hold.unref();
  }

  /** Ends everything; calls that wait fail with `closed`. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** The same at once, for a process that ends. */
  closeNow(): void {
    this.#native.closeNow();
  }

  async #close(): Promise<void> {
    const feeds = [...this.#feeds.values()];
    for (const feed of feeds) feed.stop();
    const workers = feeds.filter((feed) => feed.lose !== undefined);
    await Promise.all(workers.map((worker) => this.retire(worker.token)));
    // A callback that closes does not wait for itself.
    if (!insideCallback()) {
      const gone = new AbortController();
      const patience = workers.some((worker) => worker.running) ? STOP : FAREWELL;
      await Promise.race([this.#quiet(), sleep(patience, undefined, { signal: gone.signal }).catch(() => {})]);
      gone.abort();
    }
    await this.#native.close();
    this.drain();
    this.#feeds.clear();
    clearInterval(this.#hold);
    open.delete(this);
  }

  async #quiet(): Promise<void> {
    for (;;) {
      const running = [...this.#feeds.values()].flatMap((feed) => feed.running ?? []);
      if (running.length === 0 && this.#leaving.size === 0) return;
      await Promise.all([...running, ...this.#leaving]);
    }
  }

  /** One listener per signal, however many calls share it. */
  #abortable(token: number, signal: AbortSignal): () => void {
    let tokens = this.#signals.get(signal);
    if (tokens === undefined) {
      tokens = new Set();
      this.#signals.set(signal, tokens);
      signal.addEventListener("abort", () => this.#abort(signal), { once: true });
    }
    tokens.add(token);
    return () => tokens.delete(token);
  }

  #abort(signal: AbortSignal): void {
    for (const token of this.#signals.get(signal) ?? []) {
      this.#take(token)?.reject(signal.reason);
      // Nothing is answered and nothing can fail: the call is only told to end.
      void this.#native.cancel(token);
    }
  }

  /** The call, which waits no longer. */
  #take(token: number): Call | undefined {
    const call = this.#calls.get(token);
    if (call === undefined) return undefined;
    this.#calls.delete(token);
    this.release();
    call.settled?.();
    return call;
  }

  #complete(token: number, answer: Answer): void {
    const call = this.#take(token);
    if (answer.error === undefined) call?.resolve(answer.ok);
    else call?.reject(VentrosError.from(answer.error, frames(call.trace)));
  }
}

/** The lines of a stack below its first, which names the error. */
function frames(trace: { stack?: string }): string {
  const stack = trace.stack ?? "";
  const end = stack.indexOf("\n");
  return end < 0 ? "" : stack.slice(end);
}

function warn(error: unknown, { events, name, event, job, retried }: CallbackFailure): void {
  const subscription = name ?? events.join(", ");
  let where = `The subscription ${subscription} failed`;
  if (event !== null) where = `A callback failed on ${event.type} ${event.seq}`;
  if (job !== null) where = `A handler failed on ${job.kind} ${job.id}`;
  process.emitWarning(`${where}${retried ? " and is tried again" : ""}: ${explain(error)}`, {
    type: "VentrosWarning",
    detail: error instanceof Error ? (error.stack ?? "") : "",
  });
}
