/** The vault: a key at opening, secrets that are kept, and what happens without one. */

import { randomBytes } from "node:crypto";
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
