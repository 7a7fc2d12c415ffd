/** Doing jobs: what handlers give and throw, how many run, and how they end. */

import { type CallbackFailure, open, Permanent, RateLimited, Retry, ValidationError } from "ventros";
import { expect, test } from "vitest";
import { failure, lasting, program, world } from "./world.js";

/** A promise that a test fulfils. */
function signal(): { promise: Promise<void>; give: () => void } {
  let give = () => {};
  const promise = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { promise, give };
}

test("what a handler returns is the result of its job", async () => {
  const { crm, shop } = await world();
  const seen: unknown[] = [];
  await crm.handle("host.report", async (job) => {
    seen.push({ id: job.id, project: job.project_id, key: job.idempotency_key, attempts: job.attempts });
    return { pages: (job.payload as { month: number }).month + 2 };
  });
  const job = await shop.jobs.enqueue({ kind: "host.report", payload: { month: 1 } });
  expect(await crm.runPending()).toMatchObject({ delivered: 1 });
  expect(seen).toEqual([{ id: job.id, project: shop.id, key: job.id, attempts: 1 }]);
  expect(await shop.jobs.get(job.id)).toMatchObject({ state: "succeeded", result: { pages: 3 } });
});

test("case 8: a handler that fails twice succeeds at its third try with the same key", async () => {
  const failures: [unknown, CallbackFailure][] = [];
  const { clock, crm, shop } = await world({ onError: (...failure) => failures.push(failure) });
  const keys: string[] = [];
  const fire = new Error("the printer is on fire");
  await shop.handle("host.report", (job) => {
    keys.push(job.idempotency_key);
    if (job.attempts === 1) throw new Retry("out of paper", { afterSeconds: 29.5 });
    if (job.attempts === 2) throw fire;
  });
  const { id } = await shop.jobs.enqueue({ kind: "host.report" });
  await crm.runPending();
  expect(await shop.jobs.get(id)).toMatchObject({ state: "scheduled", last_error: "out of paper" });
  clock.advance(29_000);
  await crm.runPending();
  expect(keys).toHaveLength(1);
  clock.advance(1_000);
  await crm.runPending();
  expect(await shop.jobs.get(id)).toMatchObject({ last_error: "Error: the printer is on fire" });
  expect(failures).toEqual([
    [fire, { events: [], name: "host.report", event: null, job: expect.objectContaining({ id }), retried: true }],
  ]);
  clock.advance(60_000);
  await crm.runPending();
  expect(await shop.jobs.get(id)).toMatchObject({ state: "succeeded", attempts: 3, result: null });
  expect(keys).toEqual([id, id, id]);
});

test("case 8: what can never work is dead after one try", async () => {
  const { crm, shop } = await world({ onError: () => {} });
  await shop.handle("host.report", async () => {
    throw new Permanent("no such month");
  });
  const { id } = await shop.jobs.enqueue({ kind: "host.report" });
  await crm.runPending();
  expect(await shop.jobs.get(id)).toMatchObject({ state: "dead", attempts: 1, last_error: "no such month" });
});

test("case 8: whoever is asked to wait loses no try", async () => {
  const { clock, crm, shop } = await world();
  const tries: number[] = [];
  await shop.handle("host.report", (job) => {
    tries.push(job.attempts);
    if (tries.length === 1) throw new RateLimited("too fast", { afterSeconds: 60 });
  });
  await shop.jobs.enqueue({ kind: "host.report" });
  await crm.runPending();
  clock.advance(59_000);
  await crm.runPending();
  expect(tries).toEqual([1]);
  clock.advance(1_000);
  await crm.runPending();
  expect(tries).toEqual([1, 1]);
});

test("case 11: the result of a job that is cancelled while it runs is dropped", async () => {
  const { crm, shop } = await world();
  await shop.handle("host.report", async (job) => {
    await shop.jobs.cancel(job.id);
    return 3;
  });
  const { id } = await shop.jobs.enqueue({ kind: "host.report" });
  await crm.runPending();
  expect(await shop.jobs.get(id)).toMatchObject({ state: "cancelled", result: null });
});

test("what cannot be written as JSON or is too large is a failure", async () => {
  const { crm, shop } = await world({ onError: () => {} });
  const results = [Number.NaN, "x".repeat(20_000)];
  await shop.handle("host.report", (job) => results[job.payload as number]);
  const jobs = [0, 1].map((payload) => shop.jobs.enqueue({ kind: "host.report", payload }));
  const ids = (await Promise.all(jobs)).map((job) => job.id);
  await crm.runPending();
  const [unspeakable, large] = await Promise.all(ids.map((id) => shop.jobs.get(id)));
  expect(unspeakable).toMatchObject({ state: "scheduled", last_error: expect.stringContaining("TypeError") });
  expect(large).toMatchObject({ state: "scheduled", last_error: expect.stringContaining("json_too_large") });
});

test("jobs run side by side, and no more than there is room for", async () => {
  const { crm, shop } = await world();
  let [running, most, ended] = [0, 0, 0];
  let full = signal();
  await crm.handle(
    "host.report",
    async () => {
      most = Math.max(most, ++running);
      if (running === 3) {
        full.give();
        full = signal();
      } else await full.promise;
      running -= 1;
      ended += 1;
    },
    { concurrency: 3 },
  );
  for (let number = 0; number < 12; number += 1) await shop.jobs.enqueue({ kind: "host.report" });
  await crm.runPending();
  expect([most, ended]).toEqual([3, 12]);
});

test("a handler may call the CRM, enqueue more, run what is pending and cancel itself", async () => {
  const { crm, shop } = await world();
  const subscription = await shop.handle("host.report", async (job) => {
    await crm.runPending();
    await shop.contacts.create({ name: `Contact ${job.payload}` });
    if (job.payload === 3) await subscription.cancel();
    await shop.jobs.enqueue({ kind: "host.report", payload: (job.payload as number) + 1 });
  });
  await shop.jobs.enqueue({ kind: "host.report", payload: 1 });
  await crm.runPending();
  const names = [];
  for await (const contact of shop.contacts.list()) names.push(contact.name);
  expect(names.sort()).toEqual(["Contact 1", "Contact 2", "Contact 3"]);
});

test("a handler is of one kind and project, or of all projects", async () => {
  const { crm, shop } = await world();
  const other = crm.project((await crm.projects.create({ name: "Other" })).id);
  const seen: string[] = [];
  await shop.handle("host.report", (job) => seen.push(job.project_id));
  for (const project of [shop, other]) {
    await project.jobs.enqueue({ kind: "host.report" });
    await project.jobs.enqueue({ kind: "host.another" });
  }
  await crm.runPending();
  expect(seen).toEqual([shop.id]);
  await crm.handle("host.another", (job) => seen.push(job.project_id));
  await crm.runPending();
  expect(seen.slice(1).sort()).toEqual([shop.id, other.id].sort());
});

test("the signal of a job that was lost is aborted, and its place is free again", async () => {
  const { clock, crm, shop } = await world({ background: true, onError: () => {} });
  const [began, quick] = [signal(), signal()];
  let reason: unknown;
  await crm.handle(
    "host.report",
    async (job, { signal }) => {
      if (job.payload === "quick") return quick.give();
      began.give();
      await new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      }).catch((thrown) => {
        reason = thrown;
      });
    },
    { concurrency: 1 },
  );
  const { id } = await shop.jobs.enqueue({ kind: "host.report" });
  await began.promise;
  await shop.jobs.cancel(id);
  await shop.jobs.enqueue({ kind: "host.report", payload: "quick" });
  clock.advance(10_000);
  await quick.promise;
  expect(reason).toMatchObject({ name: "AbortError" });
  expect(await shop.jobs.get(id)).toMatchObject({ state: "cancelled" });
});

test("close waits for jobs that run and hands back the others", async () => {
  const place = lasting();
  const crm = await open(place);
  const shop = crm.project((await crm.projects.create({ name: "Acme" })).id);
  const [began, closing] = [signal(), signal()];
  await crm.handle(
    "host.report",
    async () => {
      began.give();
      await closing.promise;
      return (await shop.contacts.create({ name: "made at the end" })).name;
    },
    { concurrency: 1 },
  );
  const first = await shop.jobs.enqueue({ kind: "host.report" });
  await began.promise;
  const second = await shop.jobs.enqueue({ kind: "host.report" });
  const closed = crm.close();
  closing.give();
  await closed;
  const again = await open(place, { background: false });
  const left = again.project(shop.id);
  expect(await left.jobs.get(first.id)).toMatchObject({ state: "succeeded", result: "made at the end" });
  expect(await left.jobs.get(second.id)).toMatchObject({ state: "scheduled", attempts: 0 });
  await again.close();
});

test("a handler may close the CRM", async () => {
  const { crm, shop } = await world({ background: true });
  const closed = signal();
  await crm.handle("host.report", async () => {
    await crm.close();
    closed.give();
  });
  await shop.jobs.enqueue({ kind: "host.report" });
  await closed.promise;
});

test("a cancelled handler takes no more, and its signal cancels it", async () => {
  const { crm, shop } = await world();
  const controller = new AbortController();
  const seen: string[] = [];
  const subscription = await shop.handle("host.report", (job) => seen.push(job.id), { signal: controller.signal });
  controller.abort();
  await subscription.cancel();
  const { id } = await shop.jobs.enqueue({ kind: "host.report" });
  await crm.runPending();
  expect(seen).toEqual([]);
  await shop.handle("host.report", (job) => seen.push(job.id));
  await crm.runPending();
  expect(seen).toEqual([id]);
});

test("wrong kinds, limits and handlers are refused", async () => {
  const { shop } = await world();
  const kind = await failure(shop.handle("report", () => {}));
  expect(kind).toBeInstanceOf(ValidationError);
  expect(kind).toMatchObject({ code: "job_kind_unknown" });
  const room = await failure(shop.handle("host.report", () => {}, { concurrency: 101 }));
  expect(room).toMatchObject({ code: "limit_out_of_range", field: "concurrency" });
  expect(await failure(shop.handle("host.report", "no function" as never))).toBeInstanceOf(TypeError);
  expect(() => new Retry("", { afterSeconds: Number.NaN })).toThrow(RangeError);
});

test("a handler keeps no process alive, and one that ends hands its job back", async () => {
  const place = lasting();
  const { code, out } = await program(`
    import { open } from "ventros";
    const crm = await open(${JSON.stringify(place)});
    const shop = crm.project((await crm.projects.create({ name: "Acme" })).id);
    const begun = new Promise((resolve) => {
      void crm.handle("host.report", (job) => {
        resolve();
        return new Promise(() => {});
      });
    });
    const job = await shop.jobs.enqueue({ kind: "host.report" });
    const wait = setInterval(() => {}, 1_000);
    await begun;
    clearInterval(wait);
    console.log(shop.id + " " + job.id);
  `);
  expect(code).toBe(0);
  const [project, job] = out.trim().split(" ") as [never, never];
  const again = await open(place, { background: false });
  expect(await again.project(project).jobs.get(job)).toMatchObject({ state: "scheduled", attempts: 0 });
  await again.close();
});
