/**
 * The main job in one program: opens a SQLite file, creates a project and a channel, feeds a folder of WhatsApp webhooks,
 * prints each event as it is heard, then the conversations as a person would read them.
 *
 * quickstart [FILE] [FOLDER]. A second run over the same folder changes nothing and says so.
 */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Crm, type Event, open, type Project, type types } from "ventros";

const SAMPLES = fileURLToPath(new URL("payloads", import.meta.url));

export async function main(file = "crm.db", folder = SAMPLES): Promise<void> {
  const payloads = (await readdir(folder)).filter((name) => name.endsWith(".json")).sort();
  if (payloads.length === 0) throw new Error(`${folder} holds no .json files: give a folder of webhook payloads`);
  const crm = await open(file);
  try {
    const shop = await openProject(crm);
    const line = await openChannel(shop);
    await shop.on("*", printEvent);

    console.log(`Feeding ${payloads.length} files of ${folder} into ${file}`);
    const outcomes = new Map<string, number>();
    for (const name of payloads) {
      const raw = await readFile(join(folder, name));
      for (const { type } of await shop.inbound.ingest({ channel_id: line, raw })) {
        outcomes.set(type, (outcomes.get(type) ?? 0) + 1);
      }
    }
    await crm.runPending();

    const counts = [...outcomes].sort().map(([type, count]) => `${count} ${type}`);
    console.log(`\n${counts.join(", ")}`);
    if (!outcomes.has("recorded")) {
      console.log("Nothing new: every message of this folder was recorded by an earlier run.");
    }
    for await (const chat of shop.chats.list()) await printChat(shop, chat);
  } finally {
    await crm.close();
  }
}

async function openProject(crm: Crm): Promise<Project> {
  const known = await crm.projects.find({ slug: "acme" });
  const acme = known ?? (await crm.projects.create({ name: "Acme", default_region: "BR" }));
  return crm.project(acme.id);
}

async function openChannel(shop: Project): Promise<types.ChannelId> {
  for await (const line of shop.channels.list()) return line.id;
  return (await shop.channels.create({ name: "WhatsApp", type: "waha" })).id;
}

function printEvent(event: Event): void {
  const { content } = event.data as { content?: types.Content | null };
  console.log(`  event ${`${event.seq}`.padStart(4)}  ${event.type.padEnd(28)}${content ? words(content) : ""}`);
}

async function printChat(shop: Project, chat: types.Chat): Promise<void> {
  const who = chat.contact_id ? (await shop.contacts.get(chat.contact_id)).name : chat.subject;
  console.log(`\n${chat.chat_type} chat with ${who}: ${chat.message_count} messages, ${chat.unread_count} unread`);
  let session: types.SessionId | null = null;
  const filter = { field: "chat_id", op: "eq", value: chat.id } as const;
  for await (const message of shop.messages.list({ filter, sort: ["timestamp"] })) {
    const [day, time] = [message.timestamp.slice(0, 10), message.timestamp.slice(11, 19)];
    if (message.session_id !== null && message.session_id !== session) {
      session = message.session_id;
      console.log(`  ---- session of ${day} ${time.slice(0, 5)} ----`);
    }
    console.log(`  ${time}  ${lineOf(message)}`);
  }
}

function lineOf(message: types.Message): string {
  const way = { inbound: "in ", outbound: "out", internal: "   " }[message.direction];
  const who = message.sender_name || (message.direction === "outbound" ? "me" : "");
  const reactions = message.reactions.map((reaction) => ` ${reaction.emoji}`).join("");
  const changes = (message.edit_count ? " (edited)" : "") + (message.revoked_at ? " (taken back)" : "");
  const status = message.direction === "outbound" ? `  [${message.status}]` : "";
  return `${way}  ${who ? `${who}: ` : ""}${words(message.content)}${changes}${reactions}${status}`;
}

/** What a person would say stands there. */
function words(content: types.Content): string {
  switch (content.type) {
    case "text":
      return content.body;
    case "location": {
      const { name, latitude, longitude } = content.location;
      return `[location] ${name ?? ""} ${latitude}, ${longitude}`;
    }
    case "contact":
      return `[contact] ${content.cards.map((card) => card.display_name || card.name || "?").join(", ")}`;
    case "system":
      return `[${content.notice.kind.replaceAll("_", " ")}]`;
    case "template":
    case "interactive":
    case "unsupported":
      return `[${content.type}]`;
    default:
      return [`[${content.type}]`, content.media.filename, content.caption].filter(Boolean).join(" ");
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(...process.argv.slice(2));
