/** Calling: results, pages, options, transactions. */

import { ConflictError, commands, ForbiddenError, NotFoundError, types, VentrosError } from "ventros";
import { expect, test } from "vitest";
import { engineCall, failure, world } from "./world.js";

const NOBODY = "0190f0c0-0000-7000-8000-000000000000";

test("results are plain data, as on the wire", async () => {
  const { clock, shop } = await world();
  const contact = await shop.contacts.create({ name: "Ana" });
  expect(contact.name).toBe("Ana");
  expect(contact.created_at).toBe("2025-01-06T09:00:00.000000Z");
  clock.advance(3_600_000);
  expect(clock.now()).toEqual(new Date("2025-01-06T10:00:00Z"));
  expect((await shop.contacts.create({ name: "Bia" })).created_at).toBe("2025-01-06T10:00:00.000000Z");
});

test("numbers are numbers", async () => {
  const { shop } = await world();
  const contact = await shop.contacts.create({ name: "Ana" });
  expect(contact.version).toBe(1);
  expect((await shop.contacts.update(contact.id, { lead_score: 40 })).lead_score).toBe(40);
});

test("an integer that a number cannot hold is a bigint, both ways", async () => {
  const { crm, shop } = await world();
  const configuration = { big: 9_007_199_254_740_993n, low: -9_007_199_254_740_993n, text: "9007199254740993", ok: 7 };
  const given = await crm.projects.create({ name: "Exact", configuration });
  expect(given.configuration).toEqual(configuration);
  expect((await crm.project(given.id).projects.get()).configuration).toEqual(configuration);
  const small = await crm.projects.create({ name: "Small", configuration: { small: 7n } });
  expect(small.configuration).toEqual({ small: 7 });
  const events: unknown[] = [];
  await crm.project(given.id).subscribe("all", (event) => events.push(event.data), { events: "project.created" });
  await crm.runPending();
  expect(JSON.stringify(events, (_, value) => (typeof value === "bigint" ? `${value}n` : value))).toContain(
    '"big":"9007199254740993n"',
  );
  const lost = shop.projects.update({ configuration: { set: { lost: 2 ** 53 } } });
  expect(await failure(lost)).toEqual(
    new TypeError("configuration.set.lost is beyond 2^53 and has lost digits: give a bigint"),
  );
});

test("a list pages by itself", async () => {
  const { shop } = await world();
  const numbers = Array.from({ length: 25 }, (_, number) => number);
  await Promise.all(numbers.map((number) => shop.contacts.create({ name: `Contact ${`${number}`.padStart(2, "0")}` })));
  const list = shop.contacts.list({ sort: ["name"], limit: 10 });
  const page = await list.page();
  expect(page.items.slice(0, 2).map((contact) => contact.name)).toEqual(["Contact 00", "Contact 01"]);
  expect([page.has_more, page.items.length]).toEqual([true, 10]);
  expect((await list.page(page.next_cursor ?? "")).items[0]?.name).toBe("Contact 10");
  const names: string[] = [];
  for await (const contact of list) names.push(contact.name);
  expect(names).toHaveLength(25);
  expect(await list.all()).toHaveLength(25);
  expect((await shop.contacts.list({ limit: 10, with_total: true }).page()).total).toBe(25);
});

test("filters are objects", async () => {
  const { shop } = await world();
  for (const name of ["Ana", "Bia", "Caio"]) await shop.contacts.create({ name });
  const found = shop.contacts.list({
    filter: {
      any: [{ field: "name", op: "eq", value: "Ana" }, { not: { field: "name", op: "ne", value: "Caio" } }],
    },
    sort: ["-name"],
  });
  expect((await found.all()).map((contact) => contact.name)).toEqual(["Caio", "Ana"]);
});

test("undefined leaves unchanged, null clears", async () => {
  const { shop } = await world();
  const contact = await shop.contacts.create({ name: "Ana", email: "ana@example.com", company: "Acme" });
  const changed = await shop.contacts.update(contact.id, { email: undefined, company: null });
  expect([changed.email, changed.company]).toEqual(["ana@example.com", null]);
});

test("a date is an instant", async () => {
  const { shop } = await world();
  const line = await shop.channels.create({ name: "WhatsApp", type: "waha" });
  const raw = new TextEncoder().encode('{"event": "unknown"}');
  const at = new Date("2025-01-06T09:00:00Z");
  await shop.inbound.ingest({ channel_id: line.id, raw, received_at: at });
});

test("an idempotency key gives the first result again", async () => {
  const { shop } = await world();
  const idempotencyKey = "k1";
  const first = await shop.contacts.create({ name: "Ana" }, { idempotencyKey });
  expect(await shop.contacts.create({ name: "Ana" }, { idempotencyKey })).toEqual(first);
  const error = await failure(shop.contacts.create({ name: "Bia" }, { idempotencyKey }));
  expect(error).toBeInstanceOf(ConflictError);
  expect(error).toMatchObject({ code: "idempotency_key_reused" });
});

test("an expected version guards against other writers", async () => {
  const { shop } = await world();
  const contact = await shop.contacts.create({ name: "Ana" });
  const options = { expectedVersion: contact.version };
  await shop.contacts.addTag(contact.id, { tag: "vip" }, options);
  const error = await failure(shop.contacts.addTag(contact.id, { tag: "new" }, options));
  expect(error).toMatchObject({ name: "ConflictError", code: "version_conflict" });
});

test("a transaction is all or nothing", async () => {
  const { shop } = await world();
  const contact = await shop.contacts.create({ name: "Ana" });
  const [created, tagged] = await shop.transact([
    commands.contacts.create({ name: "Bia" }),
    commands.contacts.addTag(contact.id, { tag: "vip" }),
  ]);
  expect([created.name, tagged.tags]).toEqual(["Bia", ["vip"]]);
  const error = await failure(
    shop.transact([
      commands.contacts.create({ name: "Caio" }),
      commands.contacts.addTag(types.ContactId(NOBODY), { tag: "vip" }),
    ]),
  );
  expect(error).toBeInstanceOf(NotFoundError);
  expect(error).toMatchObject({ field: "[1].input" });
  const names = (await shop.contacts.list({ sort: ["name"] }).all()).map((one) => one.name);
  expect(names).toEqual(["Ana", "Bia"]);
});

test("another project's things do not exist", async () => {
  const { crm, shop } = await world();
  const contact = await shop.contacts.create({ name: "Ana" });
  const other = crm.project((await crm.projects.create({ name: "Other" })).id);
  expect(await failure(other.contacts.get(contact.id))).toBeInstanceOf(NotFoundError);
});

test("an unknown user may do nothing", async () => {
  const { crm, shop } = await world();
  const stranger = "0190f0c0-0000-7000-8000-000000000001";
  for (const handle of [
    crm.project(shop.id, { actor: stranger }),
    shop.as(stranger),
    crm.as({ kind: "user", id: stranger }).project(shop.id),
  ]) {
    expect(await failure(handle.contacts.create({ name: "Ana" }))).toBeInstanceOf(ForbiddenError);
  }
});

test("many calls at once", async () => {
  const { shop } = await world();
  const numbers = Array.from({ length: 100 }, (_, number) => number);
  const made = await Promise.all(numbers.map((number) => shop.contacts.create({ name: `${number}` })));
  expect(new Set(made.map((contact) => contact.id)).size).toBe(100);
});

test("a signal gives a call up, before it begins and while it runs", async () => {
  const { shop } = await world();
  const reason = new Error("the user left");
  const gone = AbortSignal.abort(reason);
  expect(await failure(shop.contacts.create({ name: "Ana" }, { signal: gone }))).toBe(reason);
  expect(await failure(shop.contacts.list({}, { signal: gone }).all())).toBe(reason);
  expect(await shop.contacts.list().all()).toEqual([]);

  const controller = new AbortController();
  const sleeping = engineCall(shop, "engine.sleep", controller.signal);
  await shop.contacts.create({ name: "Ana" }, { signal: controller.signal });
  controller.abort(reason);
  expect(await failure(sleeping)).toBe(reason);
  expect(await failure(engineCall(shop, "engine.sleep", AbortSignal.timeout(10)))).toMatchObject({
    name: "TimeoutError",
  });
  expect((await shop.contacts.create({ name: "Bia" })).name).toBe("Bia");
});

test("what JSON cannot say is refused before the call", async () => {
  const { shop } = await world();
  const contact = await shop.contacts.create({ name: "Ana", custom_fields: { plan: "gold" } });
  expect(await failure(shop.contacts.update(contact.id, { lead_score: Number.NaN }))).toBeInstanceOf(TypeError);
  expect(await failure(shop.contacts.update(contact.id, { lead_score: 2 ** 60 }))).toBeInstanceOf(TypeError);
  expect(await failure(shop.contacts.update(contact.id, { lead_score: Number.NaN }))).not.toBeInstanceOf(VentrosError);
});
