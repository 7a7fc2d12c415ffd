/** Failing: one class per kind, the reason in the code, the field at fault, and a stack that names the line. */

import { join } from "node:path";
import {
  ConflictError,
  InternalError,
  NotFoundError,
  open,
  types,
  UnavailableError,
  ValidationError,
  VentrosError,
} from "ventros";
import { expect, test } from "vitest";
import { CLASSES } from "../dist/errors.js";
import { engineCall, failure, folder, location, world } from "./world.js";

test("a bad value names its field", async () => {
  const { shop } = await world();
  const error = await failure(shop.contacts.create({ name: "Ana", email: "not an address" }));
  expect(error).toBeInstanceOf(ValidationError);
  expect(error).toMatchObject({ kind: "validation", code: "email_invalid", field: "email" });
});

test("a wrong type names its field", async () => {
  const { shop } = await world();
  const nonsense: unknown = { not: "a name" };
  const error = await failure(shop.contacts.create({ name: nonsense as string }));
  expect(error).toMatchObject({ name: "ValidationError", code: "input_invalid", field: "name" });
});

test("an id of no contact", async () => {
  const { shop } = await world();
  const malformed = await failure(shop.contacts.get(types.ContactId("nonsense")));
  expect(malformed).toMatchObject({ name: "ValidationError", code: "id_invalid", field: "id" });
  const absent = await failure(shop.contacts.get(types.ContactId("0190f0c0-0000-7000-8000-000000000000")));
  expect(absent).toBeInstanceOf(NotFoundError);
  expect(absent).toMatchObject({ code: "contact_not_found" });
});

test("several failures of one input come together", async () => {
  const { shop } = await world();
  const contact = await shop.contacts.create({ name: "Ana" });
  const error = await failure(shop.contacts.update(contact.id, { email: "no", lead_score: 1_000 }));
  const all = error instanceof VentrosError ? [error, ...error.errors] : [];
  expect(all.map((one) => one.field).sort()).toEqual(["email", "lead_score"]);
  for (const one of all) expect(one).toBeInstanceOf(ValidationError);
});

test("every kind has a class and all share one base", () => {
  const classes = Object.values(CLASSES);
  expect(new Set(classes).size).toBe(12);
  for (const kind of classes) expect(kind.prototype).toBeInstanceOf(VentrosError);
});

test("an error survives the way to another thread", () => {
  const body = { kind: "conflict", code: "version_conflict", message: "Somebody was faster.", field: "id" } as const;
  const error = VentrosError.from({ ...body, details: { max: 3 }, errors: [] });
  const copy = VentrosError.from(structuredClone(error.toJSON()));
  expect(copy).toBeInstanceOf(ConflictError);
  expect(copy.toJSON()).toEqual(error.toJSON());
  expect(`${copy}`).toBe("ConflictError: version_conflict (id): Somebody was faster.");
});

test("the stack begins at the line that awaits", async () => {
  const { shop } = await world();
  async function register() {
    await shop.contacts.create({ name: "Ana", email: "not an address" });
  }
  const error = await failure(register());
  const [first, method, line] = (error as Error).stack?.split("\n") ?? [];
  expect(first).toContain("ValidationError: email_invalid (email)");
  expect(method).toContain("Contacts.create");
  expect(line).toMatch(/register .*errors\.test\.ts/);
});

test("a panic is an internal error, with a stack, and not the end", async () => {
  const { shop } = await world();
  async function provoke() {
    await engineCall(shop, "engine.panic");
  }
  const error = await failure(provoke());
  expect(error).toBeInstanceOf(InternalError);
  expect(error).toMatchObject({ code: "internal", message: expect.stringContaining("a test asked for it") });
  expect((error as Error).stack).toMatch(/provoke .*errors\.test\.ts/);
  expect((await shop.contacts.create({ name: "Ana" })).name).toBe("Ana");
});

test("a closed CRM says so and closes twice", async () => {
  const crm = await open(location());
  await Promise.all([crm.close(), crm.close()]);
  await crm.close();
  const error = await failure(crm.projects.create({ name: "Acme" }));
  expect(error).toBeInstanceOf(UnavailableError);
  expect(error).toMatchObject({ code: "closed", stack: expect.stringContaining("errors.test.ts") });
});

test("closing answers calls that wait", async () => {
  const crm = await open(location());
  const waiting = failure(engineCall(crm, "engine.sleep"));
  await crm.projects.create({ name: "Acme" });
  await crm.close();
  expect(await waiting).toMatchObject({ name: "UnavailableError", code: "closed" });
});

test("a store that cannot be opened", async () => {
  const error = await failure(open(join(folder(), "no/such/folder/crm.db")));
  expect(error).toBeInstanceOf(UnavailableError);
  expect((error as Error).stack).toContain("errors.test.ts");
});
