/** Procedures of several steps: defined here, carried on by the background work, with jobs done by handlers. */

import { ConflictError, type types, ValidationError } from "ventros";
import { expect, test } from "vitest";
import { world } from "./world.js";

/** An account at a provider, a contact of ours, and somebody's word that all is well. */
const SETUP: types.SagaDefinition = {
  kind: "host.setup",
  input: { name: { type: "text", required: true } },
  steps: [
    {
      id: "account",
      run: { type: "job", kind: "host.make_account", payload: { name: { $from: "input.name" } } },
      compensate: { run: { type: "job", kind: "host.remove_account", payload: { id: { $from: "data.account.id" } } } },
      retry: { attempts: 2 },
    },
    {
      id: "contact",
      run: { type: "command", operation: "contacts.create", input: { name: { $from: "input.name" } } },
      compensate: {
        run: { type: "command", operation: "contacts.delete", input: { id: { $from: "data.contact.id" } } },
      },
    },
    { id: "approval", run: { type: "wait", signal: "approved" }, timeout_seconds: 900 },
  ],
  output: { by: { $from: "data.approval.by" } },
};

test("a saga is done step by step", async () => {
  const { crm, shop } = await world();
  const keys: string[] = [];
  await crm.defineSaga(SETUP);
  await crm.handle("host.make_account", (job) => {
    keys.push(job.idempotency_key);
    return { id: "acct_9" };
  });
  const { saga, created } = await shop.sagas.start({ kind: "host.setup", key: "acct1", input: { name: "Ana" } });
  expect([created, saga.status]).toEqual([true, "running"]);
  await crm.runPending();
  expect(await shop.sagas.get(saga.id)).toMatchObject({ status: "waiting", current_step: "approval" });
  expect(keys).toEqual([`${saga.id}:account:1`]);
  await shop.sagas.signal({ kind: "host.setup", key: "acct1", name: "approved", data: { by: "Bo" } });
  await crm.runPending();
  const ended = await shop.sagas.get(saga.id);
  expect(ended).toMatchObject({ status: "completed", output: { by: "Bo" } });
  expect(ended.steps.map(({ step, status }) => [step, status])).toEqual([
    ["account", "succeeded"],
    ["contact", "succeeded"],
    ["approval", "succeeded"],
  ]);
  const { events } = await shop.sagas.timeline(saga.id);
  expect(events.map((event) => event.type)).toContain("contact.created");
});

test("what was done is undone", async () => {
  const { clock, crm, shop } = await world();
  const removed: unknown[] = [];
  await crm.defineSaga(SETUP);
  await crm.handle("host.make_account", () => ({ id: "acct_9" }));
  await crm.handle("host.remove_account", (job) => void removed.push(job.payload));
  const { saga } = await shop.sagas.start({ kind: "host.setup", key: "acct1", input: { name: "Ana" } });
  await crm.runPending();
  clock.advance(900_000);
  await crm.runPending();
  expect(await shop.sagas.get(saga.id)).toMatchObject({ status: "compensated" });
  expect(removed).toEqual([{ id: "acct_9" }]);
  expect(await shop.contacts.list().all()).toEqual([]);
});

test("what is wrong is told with its place", async () => {
  const { crm, shop } = await world();
  const start = (input: unknown) => shop.sagas.start({ kind: "host.setup", key: "acct1", input });
  await expect(start({})).rejects.toMatchObject({ code: "saga_kind_unknown", field: "kind" });
  const wrong: types.SagaDefinition = {
    kind: "host.setup",
    steps: [{ id: "one", run: { type: "command", operation: "contacts.get" } }],
  };
  await expect(crm.defineSaga(wrong)).rejects.toMatchObject({
    code: "operation_unknown",
    field: "steps[0].run.operation",
  });
  await crm.defineSaga(SETUP);
  await expect(start({})).rejects.toThrow(ValidationError);
  await expect(start({})).rejects.toMatchObject({ code: "field_required", field: "input.name" });
  await start({ name: "Ana" });
  await expect(start({ name: "Bo" })).rejects.toThrow(ConflictError);
});
