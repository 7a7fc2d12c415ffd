/** How a generated method becomes a call of the engine. */

import type { Engine } from "./engine.js";
import { type Cause, context } from "./feeds.js";
import type { ActorRef, ProjectId } from "./generated/types.js";
import { encode, type Page } from "./wire.js";

/** Who acts: the id of a user, or an actor of any kind. */
export type Actor = string | (Pick<ActorRef, "kind"> & Partial<ActorRef>);

/** What every call may be told beside its input. */
export interface CallOptions {
  /** Gives the call up. What it had committed stays. */
  signal?: AbortSignal | undefined;
}

/** What a command may be told beside its input. */
export interface CommandOptions extends CallOptions {
  /** The same key again gives the first result again. */
  idempotencyKey?: string | undefined;
  /** Refuses with `version_conflict` when the thing has another version by now. */
  expectedVersion?: number | undefined;
}

/** What every call through one handle carries. */
export class Scope {
  readonly projectId: ProjectId | null;
  readonly actor: Actor | null;
  /** What its calls follow from; without one, what the callback that runs was called with. */
  readonly cause: Cause | undefined;
  /** The context of a call that has no options. */
  readonly #json: string;

  constructor(projectId: ProjectId | null, actor: Actor | null, cause?: Cause) {
    this.projectId = projectId;
    // A plain id is a user's.
    this.actor = typeof actor === "string" ? { kind: "user", id: actor } : actor;
    this.cause = cause;
    this.#json = JSON.stringify({ project_id: projectId, actor: this.actor, ...cause });
  }

  /** The same for another actor. */
  as(actor: Actor): Scope {
    return new Scope(this.projectId, actor, this.cause);
  }

  /** The same for what follows from an event or a job. */
  causedBy(cause: Cause): Scope {
    return new Scope(this.projectId, this.actor, cause);
  }

  /** The context of a call as JSON. */
  context(options: CommandOptions | undefined): string {
    const cause = this.cause ?? context.getStore()?.cause;
    const plain = options?.idempotencyKey === undefined && options?.expectedVersion === undefined;
    if (plain && cause === this.cause) return this.#json;
    return JSON.stringify({
      project_id: this.projectId,
      actor: this.actor,
      ...cause,
      idempotency_key: options?.idempotencyKey,
      expected_version: options?.expectedVersion,
    });
  }
}

/** A command that is not run yet, for `transact`. */
export class Command<Result> {
  /** What it gives; there is nothing here before it runs. */
  declare readonly result: Result;
  readonly operation: string;
  readonly input: object;

  constructor(operation: string, input: object) {
    this.operation = operation;
    this.input = input;
  }
}

/** Operations that belong together, bound to a project and an actor. */
export class Collection {
  /** @internal */
  protected readonly _engine: Engine;
  /** @internal */
  protected readonly _scope: Scope;

  /** @internal */
  constructor(engine: Engine, scope: Scope) {
    this._engine = engine;
    this._scope = scope;
    // Handles are printed as what they offer, not as what they hold.
    Object.defineProperty(this, "_engine", { enumerable: false });
    Object.defineProperty(this, "_scope", { enumerable: false });
  }

  /** @internal */
  protected async _call<T>(operation: string, input: object, options?: CommandOptions): Promise<T> {
    const context = this._scope.context(options);
    return (await this._engine.call(operation, encode(input), context, options?.signal, this._call)) as T;
  }

  /** @internal */
  protected _list<T>(operation: string, input: object, options?: CallOptions): Pager<T> {
    return new Pager((cursor) => this._call(operation, cursor === undefined ? input : { ...input, cursor }, options));
  }
}

/** A list that fetches its pages while you iterate with `for await`. */
export class Pager<T> implements AsyncIterable<T> {
  readonly #fetch: (cursor?: string) => Promise<Page<T>>;

  /** @internal */
  constructor(fetch: (cursor?: string) => Promise<Page<T>>) {
    this.#fetch = fetch;
  }

  /** One page: the first, or the one that `cursor` names. */
  page(cursor?: string): Promise<Page<T>> {
    return this.#fetch(cursor);
  }

  /** All pages. */
  async *pages(): AsyncGenerator<Page<T>, void, undefined> {
    let page = await this.page();
    yield page;
    while (page.next_cursor !== null) {
      page = await this.page(page.next_cursor);
      yield page;
    }
  }

  /** Everything in one array. */
  async all(): Promise<T[]> {
    const items: T[] = [];
    for await (const page of this.pages()) items.push(...page.items);
    return items;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const page of this.pages()) yield* page.items;
  }
}
