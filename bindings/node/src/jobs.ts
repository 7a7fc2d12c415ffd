/** Handlers of jobs: what becomes of each, and how many are under way. */

import type { CallbackFailure, Engine } from "./engine.js";
import { causeOf, context, explain, type Feed, insideCallback, type OnOptions } from "./feeds.js";
import type { ClaimedJob } from "./generated/types.js";
import { encode } from "./wire.js";

/** What a handler may be told. */
export interface HandleOptions extends OnOptions {
  /** How many jobs at a time, 1 to 100; 4 unless told. */
  concurrency?: number | undefined;
  /** How long a try may take, 1 to 3,600 seconds; an hour unless told. Then it has failed. */
  timeoutSeconds?: number | undefined;
}

/** What a handler is called with beside the job. */
export interface JobContext {
  /** Aborted when the job was lost: cancelled, too slow, or given to somebody else. What the handler gives then counts for nothing. */
  readonly signal: AbortSignal;
}

/** Does one job. What it returns is the result of the job, at most 16 KiB of JSON. */
export type JobHandler = (job: ClaimedJob, context: JobContext) => unknown;

/** Thrown by a handler: the job failed and may work later. Whatever else it throws says the same. */
export class Retry extends Error {
  override readonly name = "Retry";
  readonly afterSeconds: number | undefined;

  /**
   * @param reason For people.
   * @param options When to try again; after 5 seconds, doubled with each try up to an hour, unless told.
   */
  constructor(reason = "", options: ErrorOptions & { afterSeconds?: number | undefined } = {}) {
    super(reason, options);
    this.afterSeconds = options.afterSeconds === undefined ? undefined : wholeSeconds(options.afterSeconds);
  }
}

/** Thrown by a handler: the job can never work. It is given up at once (`job.dead`). */
export class Permanent extends Error {
  override readonly name = "Permanent";
}

/** Thrown by a handler: whom it needs takes no more now. This does not count as a try. */
export class RateLimited extends Error {
  override readonly name = "RateLimited";
  readonly afterSeconds: number;

  /**
   * @param reason For people.
   * @param options When to try again: in 1 to 86,400 seconds.
   */
  constructor(reason: string, options: ErrorOptions & { afterSeconds: number }) {
    super(reason, options);
    this.afterSeconds = wholeSeconds(options.afterSeconds);
  }
}

/** Whole seconds, and not less. */
function wholeSeconds(seconds: number): number {
  const whole = Math.ceil(seconds);
  if (!Number.isSafeInteger(whole)) throw new RangeError(`${seconds} is no number of seconds`);
  return whole;
}

/** A job that a handler does. */
interface Doing {
  abort: AbortController;
  running: Promise<void> | undefined;
}

/** Runs a handler, with as many jobs side by side as the engine hands out. */
export class Worker implements Feed {
  token = 0;
  readonly #engine: Engine;
  readonly #kind: string;
  readonly #handler: JobHandler;
  readonly #options: OnOptions;
  readonly #jobs = new Map<string, Doing>();
  readonly #abort = () => void this.cancel();
  #stopped = false;
  #cancelled: Promise<void> | undefined;

  private constructor(engine: Engine, kind: string, handler: JobHandler, options: OnOptions) {
    this.#engine = engine;
    this.#kind = kind;
    this.#handler = handler;
    this.#options = options;
  }

  /** Starts to take jobs, and ends when the signal says so. */
  static async start(
    engine: Engine,
    project: string | null,
    kind: string,
    handler: JobHandler,
    options: HandleOptions,
  ): Promise<Worker> {
    if (typeof handler !== "function") throw new TypeError("the handler is no function");
    const { signal, concurrency, timeoutSeconds } = options;
    signal?.throwIfAborted();
    const worker = new Worker(engine, kind, handler, options);
    const json = encode({
      kind: "jobs",
      project_id: project,
      job_kind: kind,
      concurrency,
      timeout_seconds: timeoutSeconds,
    });
    await engine.subscribe(worker, json);
    if (options.keepAlive) engine.hold();
    signal?.addEventListener("abort", worker.#abort, { once: true });
    if (signal?.aborted) worker.#abort();
    return worker;
  }

  get running(): Promise<void> | undefined {
    const running = [...this.#jobs.values()].flatMap((job) => job.running ?? []);
    return running.length === 0 ? undefined : Promise.all(running).then(() => {});
  }

  deliver(job: ClaimedJob): void {
    if (this.#stopped) {
      this.#engine.reportJob(this.token, job.id, undefined);
      return;
    }
    const doing: Doing = { abort: new AbortController(), running: undefined };
    this.#jobs.set(job.id, doing);
    doing.running = Promise.resolve()
      .then(() => context.run({ callback: doing, cause: causeOf(job) }, () => this.#do(job, doing.abort.signal)))
      .then((outcome) => {
        this.#jobs.delete(job.id);
        doing.running = undefined;
        this.#engine.reportJob(this.token, job.id, outcome);
      });
  }

  /** A job is not this worker's any more. */
  lose(id: string): void {
    const lost = this.#jobs.get(id);
    lost?.abort.abort(new DOMException("the job was lost", "AbortError"));
  }

  stop(): void {
    this.#stopped = true;
  }

  cancel(): Promise<void> {
    if (this.#cancelled !== undefined) return this.#cancelled;
    this.stop();
    this.#options.signal?.removeEventListener("abort", this.#abort);
    const ended = (async () => {
      await this.#engine.retire(this.token);
      await this.running;
      this.#engine.forget(this.token);
      if (this.#options.keepAlive) this.#engine.release();
    })();
    // Whoever is inside of a handler would wait for themselves.
    this.#cancelled = insideCallback() ? Promise.resolve() : ended;
    return this.#cancelled;
  }

  failure(_event: null, retried: boolean, job: ClaimedJob | null = null): CallbackFailure {
    return { events: [], name: this.#kind, event: null, job, retried };
  }

  /** The outcome, as the engine reads it. */
  async #do(job: ClaimedJob, signal: AbortSignal): Promise<string> {
    try {
      const result: unknown = await this.#handler(job, { signal });
      return encode({ type: "done", result });
    } catch (thrown) {
      if (thrown instanceof RateLimited) {
        return encode({ type: "rate_limited", after_seconds: thrown.afterSeconds });
      }
      if (thrown instanceof Permanent) {
        this.#engine.report(thrown, this.failure(null, false, job));
        return encode({ type: "permanent", error: thrown.message || String(thrown) });
      }
      if (thrown instanceof Retry) {
        return encode({ type: "retry", error: thrown.message || undefined, after_seconds: thrown.afterSeconds });
      }
      if (!signal.aborted) this.#engine.report(thrown, this.failure(null, true, job));
      return encode({ type: "retry", error: explain(thrown) });
    }
  }
}
