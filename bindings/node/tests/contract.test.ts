/** The scenarios of `bindings/contract` through the public methods: names, casing, decoding. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Crm, commands, ManualClock, open, type Project, type types, VentrosError } from "ventros";
import { describe, expect, test } from "vitest";
import { ROOT } from "./world.js";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Fields = { [key: string]: Json };
type Step = { do: string; by?: Json; in?: string; key?: string; expected_version?: number; input?: Fields } & {
  times?: number;
  as?: string;
  quiet?: boolean;
  then?: Json;
  error?: Json;
};
type File = { about: string; given?: Step[]; scenarios: { about: string; vault?: boolean; steps: Step[] }[] };
type Methods = Record<string, Record<string, (...parameters: unknown[]) => unknown>>;

const FOLDER = join(ROOT, "../contract");
const catalogue = JSON.parse(readFileSync(join(ROOT, "../catalogue.json"), "utf8")) as {
  operations: { name: string; scope: string; input: { properties?: object; required?: string[] } }[];
};
const operations = new Map(catalogue.operations.map((operation) => [operation.name, operation]));

const camel = (name: string) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

/** The item with its number in four digits for `####`, else for `#`, in its texts. */
function numbered(item: Json, number: number): Json {
  if (typeof item === "string") {
    return item.replaceAll("####", String(number).padStart(4, "0")).replaceAll("#", String(number));
  }
  return within(item, (inner) => numbered(inner, number));
}

function within(value: Json, change: (inner: Json) => Json): Json {
  if (Array.isArray(value)) return value.map(change);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, change(inner)]));
}

/** The same value has the same text. */
function canonical(value: unknown): string {
  const sorted = (_: string, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => (one < other ? -1 : 1)))
      : inner;
  return JSON.stringify(value, sorted, 1);
}

class Play {
  readonly #crm: Crm;
  readonly #clock: ManualClock;
  readonly #names = new Map<string, Json>();
  #project = "";
  #readers = 0;

  constructor(crm: Crm, clock: ManualClock) {
    this.#crm = crm;
    this.#clock = clock;
  }

  /** Runs a step; what it answers must be what it says. */
  async step(step: Step): Promise<void> {
    const steps = step.times === undefined ? [step] : Array.from({ length: step.times }, (_, n) => numbered(step, n));
    let output: unknown;
    try {
      for (const one of steps) output = (await this.#run(one as Step)) ?? null;
    } catch (error) {
      if (!(error instanceof VentrosError) || step.quiet) throw error;
      expect(canonical({ error: error.toJSON() })).toBe(canonical({ error: step.error }));
      return;
    }
    expect(step.error, "it did not fail").toBeUndefined();
    if (step.as !== undefined) this.#names.set(step.as, output as Json);
    if (step.do === "projects.create") this.#project = (output as { id: string }).id;
    if (!step.quiet) expect(canonical(output)).toBe(canonical(step.then ?? null));
  }

  async #run(step: Step): Promise<unknown> {
    const input = this.#resolve(step.input ?? {}) as Fields;
    const by = step.by === undefined ? undefined : (this.#resolve(step.by) as string);
    const crm = by === undefined ? this.#crm : this.#crm.as(by);
    const place = step.in === undefined ? this.#project : (this.#resolve(step.in) as string);
    const project = crm.project(place as Project["id"]);
    const options = { idempotencyKey: step.key, expectedVersion: step.expected_version };
    if (step.do === "clock.advance") return this.#clock.advance((input.seconds as number) * 1_000);
    if (step.do === "run_pending") return void (await crm.runPending());
    if (step.do === "define_saga") return crm.defineSaga(input as unknown as types.SagaDefinition);
    if (step.do === "events") return this.#events(project, input.of as "*");
    if (step.do === "transact") {
      const listed = (input.commands as Step[]).map((each) =>
        this.#call(commands as unknown as Methods, each.do, each.input),
      );
      return project.transact(listed as never, { idempotencyKey: step.key });
    }
    const handle = operations.get(step.do)?.scope === "system" ? crm : project;
    const result = this.#call(handle as unknown as Methods, step.do, input, options);
    return typeof result === "object" && result !== null && "page" in result
      ? (result as { page(cursor?: string): unknown }).page(input.cursor as string | undefined)
      : result;
  }

  /** Calls the method of an operation as its signature wants it: the id first, then the rest, then the options. */
  #call(handle: Methods, operation: string, input: Fields = {}, options?: object): unknown {
    const known = operations.get(operation);
    const [collection, verb] = operation.split(".").map(camel) as [string, string];
    const lead = known?.input.required?.find((name) => name === "id" || name === "ids");
    const rest = Object.fromEntries(Object.entries(input).filter(([name]) => name !== lead && name !== "cursor"));
    const takes =
      Object.keys(known?.input.properties ?? {}).some((name) => name !== lead) || known?.input.properties === undefined;
    const parameters = [...(lead === undefined ? [] : [input[lead]]), ...(takes ? [rest] : []), options];
    const methods = handle[collection] as Methods[string];
    return (methods[verb] as (...parameters: unknown[]) => unknown).call(methods, ...parameters);
  }

  async #events(project: Project, pattern: "*"): Promise<unknown> {
    const heard: unknown[] = [];
    this.#readers += 1;
    const options = { events: pattern, start: "start" } as const;
    const reading = await project.subscribe(`contract.${this.#readers}`, (event) => heard.push(event), options);
    await this.#crm.runPending();
    await reading.cancel();
    return heard;
  }

  #resolve(value: Json): Json {
    if (typeof value === "string") {
      const whole = /^\$\{([^$}]*)\}$/.exec(value);
      if (whole) return this.#find(whole[1] as string);
      return value.replace(/\$\{([^}]*)\}/g, (_, path: string) => this.#find(path) as string);
    }
    if (value !== null && typeof value === "object" && !Array.isArray(value) && typeof value.times === "number") {
      if (typeof value.repeat === "string") return value.repeat.repeat(value.times);
      const { each } = value;
      if (each !== undefined) return Array.from({ length: value.times }, (_, number) => numbered(each, number));
    }
    // Such an input is written in the file, but no number that a client takes.
    if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)) {
      return BigInt(value) as unknown as Json;
    }
    return within(value, (inner) => this.#resolve(inner));
  }

  #find(path: string): Json {
    const [name, ...rest] = path.split(".");
    const root = this.#names.get(name as string) as Json;
    return rest.reduce((value, part) => (value as Fields)[part] as Json, root);
  }
}

for (const name of readdirSync(FOLDER).filter((name) => name.endsWith(".json"))) {
  const file = JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as File;
  describe(file.about, () => {
    test.each(file.scenarios)("$about", async ({ steps, vault }) => {
      const clock = new ManualClock(new Date("2025-01-06T09:00:00Z"));
      const encryptionKey = vault === false ? undefined : new Uint8Array(32).fill(7);
      const crm = await open(":memory:", { clock, background: false, seed: 1, encryptionKey, http: false });
      try {
        const play = new Play(crm, clock);
        for (const step of [...(file.given ?? []), ...steps]) {
          await play.step(step).catch((error: Error) => {
            error.message = `${step.do} ${JSON.stringify(step.input ?? {})}: ${error.message}`;
            throw error;
          });
        }
      } finally {
        await crm.close();
      }
    });
  });
}
