/**
 * A web inbox on one SQLite file.
 *
 * main [--file inbox.db] [--port 8080] [--feed FOLDER]. The folder holds WAHA webhooks as .json files; feeding it again
 * changes nothing.
 */

import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { open, type Project, type types } from "ventros";
import { keyFor, openLine, openProject, webhookOf } from "./line.js";
import { Live } from "./live.js";
import { serve } from "./server.js";

/** How long a request that is under way may take to end, in milliseconds. */
const PATIENCE = 1_000;

const { values: options } = parseArgs({
  options: {
    file: { type: "string", default: "inbox.db" },
    port: { type: "string", default: "8080" },
    feed: { type: "string" },
  },
});

const crm = await open(options.file, { encryptionKey: await keyFor(options.file) });
const shop = await openProject(crm);
const line = await openLine(shop);
if (options.feed !== undefined) await feed(shop, line, options.feed);

const live = await Live.start(shop);
const server = serve({ crm, shop, line, live });
// Nobody but this machine: there is no sign-in.
server.listen(Number(options.port), "127.0.0.1");
await new Promise((resolve, reject) => server.once("listening", resolve).once("error", reject));
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const webhook = await webhookOf(shop, line, origin);
process.once("SIGINT", stop).once("SIGTERM", stop);
console.log(`Webhooks of WAHA go to ${webhook}`);
console.log(`Inbox at ${origin}/`);

/** Answers what was asked, then closes. Told a second time, the process ends at once. */
async function stop(): Promise<void> {
  const answered = once(server, "close");
  server.close();
  await live.close();
  await Promise.race([answered, setTimeout(PATIENCE)]);
  server.closeAllConnections();
  await crm.close();
}

async function feed(shop: Project, line: types.ChannelId, folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".json")).sort();
  if (names.length === 0) throw new Error(`${folder} holds no .json files: give a folder of webhook payloads`);
  const outcomes = new Map<string, number>();
  for (const name of names) {
    const raw = await readFile(join(folder, name));
    for (const { type } of await shop.inbound.ingest({ channel_id: line, raw })) {
      outcomes.set(type, (outcomes.get(type) ?? 0) + 1);
    }
  }
  console.log(`Fed ${folder}: ${[...outcomes].map(([type, count]) => `${count} ${type}`).join(", ")}`);
}
