/** Webhooks, brought to a real receiver and verified with the published library of Standard Webhooks. */

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook, WebhookVerificationError } from "standardwebhooks";
import type { ManualClock } from "ventros";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { world } from "./world.js";

interface Delivery {
  headers: Record<string, string>;
  body: string;
}

/** Takes what is posted to it, and answers with the next of these statuses; with the last one from then on. */
async function receiver(...statuses: number[]): Promise<{ url: string; taken: Delivery[] }> {
  const taken: Delivery[] = [];
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    const headers = Object.entries(request.headers).map(([name, value]) => [name, String(value)]);
    taken.push({ headers: Object.fromEntries(headers), body: Buffer.concat(pieces).toString() });
    response.writeHead(statuses[Math.min(taken.length, statuses.length) - 1] ?? 204).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, taken };
}

/** A CRM that may call this machine, and a library that lives in its time: signatures older than five minutes are refused. */
async function house() {
  const made = await world({ encryptionKey: randomBytes(32), privateHosts: ["127.0.0.1"], allowHttp: true });
  vi.useFakeTimers({ toFake: ["Date"], now: made.clock.now() });
  return made;
}

function pass(clock: ManualClock, seconds: number): void {
  clock.advance(seconds * 1_000);
  vi.setSystemTime(clock.now());
}

afterEach(() => {
  vi.useRealTimers();
});

function verified(secret: string | null, { headers, body }: Delivery): { type: string; data: { name: string } } {
  if (secret === null) throw new Error("no secret was shown");
  return new Webhook(secret).verify(body, headers) as { type: string; data: { name: string } };
}

test("the published library verifies what arrives", async () => {
  const { shop, crm } = await house();
  const { url, taken } = await receiver(204);
  const made = await shop.webhooks.create({ name: "N8N", url, event_types: ["contact.*"] });
  await shop.contacts.create({ name: "Ana" });
  await crm.runPending();
  const [delivery] = taken;
  if (delivery === undefined) throw new Error("nothing arrived");
  expect(verified(made.plain_secret, delivery).type).toBe("io.ventros.contact.created.v1");
  const tampered = { ...delivery, body: delivery.body.replace("Ana", "Eva") };
  expect(() => verified(made.plain_secret, tampered)).toThrow(WebhookVerificationError);
  const other = `whsec_${randomBytes(32).toString("base64")}`;
  expect(() => verified(other, delivery)).toThrow(WebhookVerificationError);
});

test("a new attempt is signed anew and keeps its id", async () => {
  const { shop, crm, clock } = await house();
  const { url, taken } = await receiver(500, 204);
  const made = await shop.webhooks.create({ name: "N8N", url, event_types: ["contact.*"] });
  await shop.contacts.create({ name: "Ana" });
  await crm.runPending();
  pass(clock, 3600);
  await crm.runPending();
  const [first, second] = taken;
  if (first === undefined || second === undefined) throw new Error("it was not tried twice");
  expect(verified(made.plain_secret, second).data.name).toBe("Ana");
  expect(second.headers["webhook-id"]).toBe(first.headers["webhook-id"]);
  expect(() => verified(made.plain_secret, first), "its time has passed").toThrow(WebhookVerificationError);
});

test("while a secret is rotated both verify, and then the new one alone", async () => {
  const { shop, crm, clock } = await house();
  const { url, taken } = await receiver(204);
  const made = await shop.webhooks.create({ name: "N8N", url, event_types: ["contact.*"] });
  const rotated = await shop.webhooks.rotateSecret(made.id, { overlap_seconds: 3600 });
  await shop.contacts.create({ name: "Bia" });
  await crm.runPending();
  const [within] = taken;
  if (within === undefined) throw new Error("nothing arrived");
  for (const secret of [made.plain_secret, rotated.plain_secret]) {
    expect(verified(secret, within).data.name).toBe("Bia");
  }
  pass(clock, 3601);
  await shop.contacts.create({ name: "Caio" });
  await crm.runPending();
  const [, after] = taken;
  if (after === undefined) throw new Error("the second did not arrive");
  expect(verified(rotated.plain_secret, after).data.name).toBe("Caio");
  expect(() => verified(made.plain_secret, after)).toThrow(WebhookVerificationError);
});
