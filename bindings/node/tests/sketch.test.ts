/** What users do with it, from the first line to the last. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { open } from "ventros";
import { expect, test, vi } from "vitest";
import { main } from "../../../examples/quickstart/quickstart.js";
import { failure, lasting, PAYLOADS } from "./world.js";

test("the sketch of the architecture", async () => {
  const payload: object = JSON.parse(readFileSync(join(PAYLOADS, "02_text_from_ad.json"), "utf8"));
  const heard: unknown[] = [];
  const audited: string[] = [];
  const crm = await open(lasting());
  const acme = await crm.projects.create({ name: "Acme", default_region: "BR" });
  const shop = crm.project(acme.id);
  const line = await shop.channels.create({ name: "WhatsApp", type: "waha" });
  await shop.on("message.received", (event) => heard.push(event.data.content));
  await shop.subscribe("audit", (event) => audited.push(event.type), { events: "contact.*", start: "start" });

  const outcomes = async (raw: object | string | Uint8Array) =>
    (await shop.inbound.ingest({ channel_id: line.id, raw })).map((outcome) => outcome.type);
  expect((await outcomes(payload)).filter((type) => type === "recorded")).toHaveLength(1);
  for (const raw of [JSON.stringify(payload), Buffer.from(JSON.stringify(payload))]) {
    const again = await outcomes(raw);
    expect(again.filter((type) => type === "duplicate")).toHaveLength(1);
    expect(again).not.toContain("recorded");
  }

  const [known] = await shop.contacts.list().all();
  const found = await shop.contacts.find({ phone: known?.phone ?? null });
  expect(found?.id).toBe(known?.id);
  if (found === null) throw new Error("nobody has the phone");
  await shop.contacts.update(found.id, { name: "First customer" });
  const customer = await shop.contacts.addTag(found.id, { tag: "vip" });
  expect(customer.name).toBe("First customer");
  expect(customer.tags).toContain("vip");

  const messages = await shop.messages.list({ filter: { field: "contact_id", op: "eq", value: customer.id } }).all();
  expect(messages).toHaveLength(1);
  expect(await failure(shop.contacts.update(customer.id, { email: "not an address" }))).toMatchObject({
    name: "ValidationError",
    code: "email_invalid",
    field: "email",
  });

  await crm.runPending();
  await crm.close();
  expect(heard).toEqual([messages[0]?.content]);
  expect(audited[0]).toBe("contact.created");
  expect(audited).toEqual(expect.arrayContaining(["contact.name_changed", "contact.tag_added"]));
});

test("the same folder twice changes nothing", async () => {
  const file = lasting();
  const printed = vi.spyOn(console, "log").mockImplementation(() => {});
  const output = () => printed.mock.calls.splice(0).flat().join("\n");
  await main(file, PAYLOADS);
  const first = output();
  await main(file, PAYLOADS);
  const second = output();
  printed.mockRestore();
  expect(first).not.toContain("Nothing new");
  expect(first).toContain("message.received");
  expect(second).toContain("Nothing new");
  expect(second).not.toContain("message.received");
});
