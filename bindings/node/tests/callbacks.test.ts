/** Hearing: live and durable callbacks, loops, retries, and callbacks that call. */

import { setTimeout as sleep } from "node:timers/promises";
import {
  type CallbackFailure,
  commands,
  type Event,
  type EventFor,
  type EventType,
  open,
  type Subscription,
  ValidationError,
} from "ventros";
import { expect, test } from "vitest";
import { failure, lasting, world } from "./world.js";

test("a live callback sees what happens from now on", async () => {
  const { crm, shop } = await world();
  await shop.contacts.create({ name: "before" });
  const seen: unknown[] = [];
  await shop.on("contact.created", (event) => seen.push(event.data.name));
  await shop.contacts.create({ name: "after" });
  await crm.runPending();
  expect(seen).toEqual(["after"]);
});

test("many events come to one callback without loss and in order", async () => {
  const wanted = Number(process.env.VENTROS_EVENTS ?? 3_000);
  const { crm, shop } = await world({ background: true });
  const seen: string[] = [];
  let resolve = () => {};
  const all = new Promise<void>((done) => {
    resolve = done;
  });
  await shop.on("contact.created", (event) => {
    if (seen.push(event.data.name) === wanted) resolve();
  });
  for (let first = 0; first < wanted; first += 500) {
    const names = Array.from({ length: Math.min(500, wanted - first) }, (_, number) => `${first + number}`);
    await shop.transact(names.map((name) => commands.contacts.create({ name })));
  }
  await all;
  await crm.runPending();
  expect(seen).toEqual(Array.from({ length: wanted }, (_, number) => `${number}`));
}, 1_800_000);

test("events carry their envelope and typed data", async () => {
  const { crm, shop } = await world();
  const seen: Event[] = [];
  await shop.on(["contact.created", "contact.tag_added"], (event) => seen.push(event));
  const contact = await shop.contacts.create({ name: "Ana" });
  await shop.contacts.addTag(contact.id, { tag: "vip" });
  const report = await crm.runPending();
  expect(report).toMatchObject({ delivered: 2, failures: 0 });
  const [created, tagged] = seen;
  expect(created).toMatchObject({ type: "contact.created", aggregate_id: contact.id, command: "contacts.create" });
  expect(created?.subjects[0]).toEqual({ kind: "contact", id: contact.id });
  expect(tagged).toMatchObject({ data: { type: "contact.tag_added", tag: "vip" } });
  expect(tagged?.seq).toBeGreaterThan(created?.seq ?? 0);
});

test("a failing live callback is reported and does not stop the others", async () => {
  const failures: [unknown, CallbackFailure][] = [];
  const { crm, shop } = await world({ onError: (...failure) => failures.push(failure) });
  const seen: string[] = [];
  const no = new Error("no");
  await shop.on("*", () => {
    throw no;
  });
  await shop.on("contact.*", async () => Promise.reject("not even an error"));
  await shop.on("*", (event) => seen.push(event.type));
  await shop.contacts.create({ name: "Ana" });
  await crm.runPending();
  expect(seen).toEqual(["contact.created"]);
  expect(failures.map(([error]) => error).sort()).toEqual([no, "not even an error"].sort());
  expect(failures[0]?.[1]).toMatchObject({ name: null, retried: false, event: { type: "contact.created" } });
});

test("without a listener a failing callback is a warning of the process", async () => {
  const { crm, shop } = await world();
  const warning = new Promise<Error>((resolve) => process.once("warning", resolve));
  await shop.on("*", () => {
    throw new RangeError("no");
  });
  await shop.contacts.create({ name: "Ana" });
  await crm.runPending();
  expect(await warning).toMatchObject({ name: "VentrosWarning", message: expect.stringContaining("RangeError: no") });
});

test("a durable callback starts at the start", async () => {
  const { crm, shop } = await world();
  await shop.contacts.create({ name: "before" });
  const seen: unknown[] = [];
  await shop.subscribe("audit", (event) => seen.push(event.data.name), { events: "contact.created" });
  await shop.subscribe("later", (event) => seen.push(event.type), { events: ["contact.created"], start: "now" });
  await crm.runPending();
  expect(seen).toEqual(["before"]);
});

test("a durable callback that rejects is tried again and then acknowledged", async () => {
  const { clock, crm, shop } = await world({ onError: () => {} });
  const attempts: unknown[] = [];
  await shop.subscribe(
    "audit",
    async (event) => {
      attempts.push(event.data.name);
      await sleep(1);
      if (attempts.length === 2) throw new Error("not yet");
    },
    { events: "contact.created" },
  );
  for (const name of ["one", "two", "three"]) await shop.contacts.create({ name });
  await crm.runPending();
  expect(attempts).toEqual(["one", "two"]);
  await crm.runPending();
  expect(attempts).toEqual(["one", "two"]);
  clock.advance(10_000);
  await crm.runPending();
  expect(attempts).toEqual(["one", "two", "two", "three"]);
  clock.advance(3_600_000);
  await crm.runPending();
  expect(attempts).toHaveLength(4);
});

test("an event that always fails is given up on", async () => {
  const { clock, crm, shop } = await world({ onError: () => {} });
  const attempts: unknown[] = [];
  const handler = (event: { data: { name?: unknown } }) => {
    attempts.push(event.data.name);
    if (event.data.name === "bad") throw new Error("never");
  };
  await shop.subscribe("audit", handler, { events: "contact.created", maxAttempts: 2 });
  await shop.contacts.create({ name: "bad" });
  await shop.contacts.create({ name: "good" });
  for (let turn = 0; turn < 4; turn++) {
    await crm.runPending();
    clock.advance(600_000);
  }
  expect(attempts).toEqual(["bad", "bad", "good"]);
});

test("a callback may call the CRM and run what is pending", async () => {
  const { crm, shop } = await world();
  const tag = async (event: Event & { type: "contact.created" }) => {
    await shop.contacts.addTag(event.aggregate_id, { tag: "seen" });
    await crm.runPending();
  };
  await shop.subscribe("tagger", tag, { events: "contact.created" });
  const contact = await shop.contacts.create({ name: "Ana" });
  await crm.runPending();
  expect((await shop.contacts.get(contact.id)).tags).toEqual(["seen"]);
});

test("a cancelled callback is silent and its name goes on later", async () => {
  const { crm, shop } = await world();
  const seen: unknown[] = [];
  const note = (event: { data: { name?: unknown } }) => seen.push(event.data.name);
  const first = await shop.subscribe("audit", note, { events: "contact.created" });
  await shop.contacts.create({ name: "one" });
  await crm.runPending();
  await Promise.all([first.cancel(), first.cancel()]);
  await shop.contacts.create({ name: "two" });
  await crm.runPending();
  expect(seen).toEqual(["one"]);
  await shop.subscribe("audit", note, { events: "contact.created" });
  await crm.runPending();
  expect(seen).toEqual(["one", "two"]);
});

test("a callback may cancel itself: its event counts as handled", async () => {
  const { crm, shop } = await world();
  const seen: unknown[] = [];
  const options = { events: "contact.created" } as const;
  const first: Subscription = await shop.subscribe("audit", handler, options);
  async function handler(event: EventFor<"contact.created">) {
    seen.push(event.data.name);
    await first.cancel();
  }
  for (const name of ["one", "two"]) await shop.contacts.create({ name });
  await crm.runPending();
  expect(seen).toEqual(["one"]);
  await shop.subscribe("audit", (event) => seen.push(event.data.name), options);
  await crm.runPending();
  expect(seen).toEqual(["one", "two"]);
});

test("a signal cancels a callback, also before it begins", async () => {
  const { crm, shop } = await world();
  const seen: unknown[] = [];
  const controller = new AbortController();
  await shop.on("*", (event) => seen.push(event.type), { signal: controller.signal });
  await shop.contacts.create({ name: "one" });
  await crm.runPending();
  controller.abort();
  await shop.contacts.create({ name: "two" });
  await crm.runPending();
  expect(seen).toHaveLength(1);
  const late = failure(shop.on("*", () => {}, { signal: controller.signal }));
  expect(await late).toMatchObject({ name: "AbortError" });
});

test("a durable callback survives a restart", async () => {
  const path = lasting();
  const seen: unknown[] = [];
  const note = (event: { data: { name?: unknown } }) => seen.push(event.data.name);
  const first = await open(path, { background: false });
  const { id } = await first.projects.create({ name: "Acme" });
  const shop = first.project(id);
  await shop.subscribe("audit", note, { events: "contact.created" });
  await shop.contacts.create({ name: "one" });
  await first.runPending();
  await shop.contacts.create({ name: "two" });
  await first.close();
  const second = await open(path, { background: false });
  await second.project(id).subscribe("audit", note, { events: "contact.created" });
  await second.runPending();
  await second.close();
  expect(seen).toEqual(["one", "two"]);
});

test("callbacks run by themselves in the background", async () => {
  const { shop } = await world({ background: true });
  const heard = new Promise((resolve) => shop.on("contact.created", resolve));
  // The promise of `on` was not awaited: what follows may be faster than the subscription.
  while ((await Promise.race([heard, sleep(20, "not yet")])) === "not yet") await shop.contacts.create({ name: "Ana" });
});

test("running what is pending waits for callbacks of the background", async () => {
  const { crm, shop } = await world({ background: true });
  const seen: unknown[] = [];
  await shop.subscribe("audit", (event) => seen.push(event.data.name), { events: "contact.created" });
  const names = Array.from({ length: 250 }, (_, number) => `${number}`);
  for (const name of names) await shop.contacts.create({ name });
  await crm.runPending();
  expect(seen).toEqual(names);
});

test("a callback may close the CRM", async () => {
  const { crm, shop } = await world({ background: true });
  const closed = new Promise<void>((resolve) => {
    void shop.on("*", async () => {
      await crm.close();
      resolve();
    });
  });
  while ((await Promise.race([closed, sleep(20, "not yet")])) === "not yet") {
    await shop.contacts.create({ name: "Ana" }).catch(() => {});
  }
  expect(await failure(shop.contacts.create({ name: "Bia" }))).toMatchObject({ code: "closed" });
});

test("unknown events and names are refused", async () => {
  const { shop } = await world();
  const vanished = await failure(shop.on("contact.vanished" as EventType, () => {}));
  expect(vanished).toBeInstanceOf(ValidationError);
  expect(vanished).toMatchObject({ code: "event_type_unknown" });
  expect(await failure(shop.subscribe("Not A Name", () => {}))).toMatchObject({ field: "name" });
});

test("a loop reads in order, acknowledges as it goes, and leaves off where it breaks", async () => {
  const { crm, shop } = await world({ background: true });
  const names = ["one", "two", "three"];
  for (const name of names) await shop.contacts.create({ name });
  const seen: unknown[] = [];
  for await (const event of shop.subscribe("audit", { events: "contact.created" })) {
    seen.push(event.data.name);
    await crm.runPending();
    if (seen.length === 2) break;
  }
  expect(seen).toEqual(["one", "two"]);
  const controller = new AbortController();
  const reading = (async () => {
    const { signal } = controller;
    for await (const event of shop.subscribe("audit", { events: "contact.created", signal })) {
      seen.push(event.data.name);
      if (event.data.name === "four") controller.abort();
    }
  })();
  await shop.contacts.create({ name: "four" });
  expect(await failure(reading)).toMatchObject({ name: "AbortError" });
  expect(seen).toEqual(["one", "two", "two", "three", "four"]);
});

test("a loop ends when the CRM is closed", async () => {
  const { crm, shop } = await world({ background: true });
  await shop.contacts.create({ name: "Ana" });
  const seen: string[] = [];
  for await (const event of shop.subscribe("audit")) {
    seen.push(event.type);
    void crm.close();
  }
  expect(seen).toEqual(["project.created"]);
});

test("one handler hears every event, once and in order, however slow it is", async () => {
  const total = Number(process.env.VENTROS_EVENTS ?? 3_000);
  const { crm, shop } = await world({ background: true });
  let [expected, heard, running] = [0, 0, 0];
  await shop.on("contact.created", async (event) => {
    expect(++running).toBe(1);
    expect(event.data.name).toBe(`${expected++}`);
    if (heard % 1_000 === 0) await sleep(5);
    heard += 1;
    running -= 1;
  });
  const { commands } = await import("ventros");
  for (let made = 0; made < total; ) {
    const size = Math.min(100, total - made);
    await shop.transact(Array.from({ length: size }, () => commands.contacts.create({ name: `${made++}` })));
  }
  await crm.runPending();
  expect(heard).toBe(total);
}, 600_000);

test("what callbacks and handlers do is part of the flow", async () => {
  const { crm, shop } = await world();
  const heard: Event[] = [];
  await shop.subscribe(
    "greeter",
    async (event) => {
      if (event.data.name !== "Ana") return;
      await shop.contacts.addTag(event.aggregate_id, { tag: "new" }, { expectedVersion: 1 });
      await shop.jobs.enqueue({ kind: "host.greet" });
    },
    { events: "contact.created" },
  );
  await shop.handle("host.greet", async () => {
    await shop.contacts.create({ name: "Bia" });
  });
  await shop.subscribe("all", (event) => heard.push(event), { events: "contact.*" });
  await shop.contacts.create({ name: "Ana" });
  await crm.runPending();
  const [first, ...followed] = heard;
  expect(followed.map((event) => event.type)).toEqual(["contact.tag_added", "contact.created"]);
  for (const event of followed) {
    expect(event).toMatchObject({ correlation_id: first?.correlation_id, causation_id: first?.id });
  }
  await shop.causedBy(followed[0] as Event).contacts.create({ name: "Davi" });
  await shop.contacts.create({ name: "Caio" });
  await crm.runPending();
  expect(heard.slice(3).map((event) => event.causation_id)).toEqual([followed[0]?.id, null]);
});
