/** The vault: a key at opening, secrets that are kept, and what happens without one. */

import { randomBytes } from "node:crypto";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open } from "ventros";
import { expect, test } from "vitest";
import { failure, world } from "./world.js";

test.each([
  [randomBytes(16), "key_length_invalid"],
  ["AAAA", "key_length_invalid"],
  ["no base64 at all", "input_invalid"],
])("a malformed key is refused", async (encryptionKey, code) => {
  const error = await failure(open(":memory:", { background: false, encryptionKey }));
  expect(error).toMatchObject({ name: "ValidationError", code, field: "encryption_key" });
});

test("a key is changed", async () => {
  const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];
  const store = join(await mkdtemp(join(tmpdir(), "ventros-")), "crm.db");
  const first = await open(store, { background: false, encryptionKey: oldKey });
  const project = (await first.projects.create({ name: "Acme" })).id;
  const input = { credential_type: "api_key", name: "Main", value: "a-secret" } as const;
  const made = await first.project(project).credentials.create(input);
  await first.close();
  const error = await failure(open(store, { background: false, oldEncryptionKeys: [oldKey] }));
  expect(error).toMatchObject({ code: "field_required", field: "encryption_key" });
  const second = await open(store, { background: false, encryptionKey: newKey, oldEncryptionKeys: [oldKey] });
  await second.credentials.rotateKeys();
  await second.runPending();
  await second.close();
  const third = await open(store, { background: false, encryptionKey: newKey });
  expect((await third.project(project).credentials.open(made.id, { purpose: "test" })).text).toBe("a-secret");
  await third.close();
});

test("a channel keeps its secrets in the vault", async () => {
  const { shop } = await world({ encryptionKey: randomBytes(32) });
  const made = await shop.channels.create({
    name: "Sales",
    type: "waha",
    external_id: "session-one",
    config: { base_url: "https://waha.example.com" },
    secrets: { api_key: "abcdef0123456789" },
  });
  expect(made.secrets.api_key?.hint).toBe("6789");
  expect(JSON.stringify(made)).not.toContain("abcdef0123456789");
  expect((await shop.channels.activate(made.id)).status).toBe("activating");
  expect((await shop.channels.webhookUrl(made.id)).token).toBe(made.plain_webhook_token);
});

test("without a key secrets are refused", async () => {
  const { shop } = await world();
  const error = await failure(shop.channels.create({ name: "A", type: "waha", secrets: { api_key: "k" } }));
  expect(error).toMatchObject({
    name: "InvalidStateError",
    code: "encryption_not_configured",
    field: "secrets.api_key",
  });
});
