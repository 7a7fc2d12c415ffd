/** The one project and the one WhatsApp line of this inbox, and the key that seals the line's secrets. */

import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { type Crm, commands, type Project, type types } from "ventros";

/** Where replies wait: a channel takes them from the moment it is switched on, whether or not it is connected. */
const TAKES_REPLIES: readonly types.ChannelStatus[] = ["activating", "connecting", "active", "disconnected"];

/** What somebody fills in to switch the line on. */
export interface LineForm {
  base_url: string;
  api_key: string;
  session: string;
}

/**
 * The key of `VENTROS_KEY`, else the one beside the file, which is made when there is none. Whoever has both files can read
 * the secrets: where that matters, keep the key elsewhere and give it in the environment.
 */
export async function keyFor(file: string): Promise<string> {
  const given = process.env.VENTROS_KEY;
  if (given) return given;
  const fresh = randomBytes(32).toString("base64");
  if (file === ":memory:") return fresh;
  try {
    await writeFile(`${file}.key`, fresh, { mode: 0o600, flag: "wx" });
    return fresh;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return (await readFile(`${file}.key`, "utf8")).trim();
  }
}

/** The project, made at the first start. */
export async function openProject(crm: Crm): Promise<Project> {
  const known = await crm.projects.find({ slug: "inbox" });
  return crm.project((known ?? (await crm.projects.create({ name: "Inbox", default_region: "BR" }))).id);
}

/** The line, made at the first start. It is off, and takes what is delivered all the same. */
export async function openLine(shop: Project): Promise<types.ChannelId> {
  for await (const line of shop.channels.list({ limit: 1, sort: ["created_at"] })) return line.id;
  return (await shop.channels.create({ name: "WhatsApp", type: "waha" })).id;
}

/** Tells the line where this server listens, and gives the address with its secret last segment. */
export async function webhookOf(shop: Project, line: types.ChannelId, origin: string): Promise<string> {
  await shop.channels.update(line, { webhook_base_url: `${origin}/webhooks/waha` });
  const { url } = await shop.channels.webhookUrl(line);
  if (!url) throw new Error("the line has no webhook address");
  return url;
}

/** Whether a reply is accepted now. */
export function takesReplies(line: types.Channel | types.ChannelDetails): boolean {
  return TAKES_REPLIES.includes(line.status);
}

/** Stores where the gateway is and switches the line on: both or neither. An empty key leaves the one that is stored. */
export async function switchOn(shop: Project, id: types.ChannelId, form: LineForm): Promise<void> {
  const line = await shop.channels.get(id);
  const settings = commands.channels.update(id, {
    config: { base_url: form.base_url || null },
    ...(form.api_key && { secrets: { api_key: form.api_key } }),
    external_id: form.session || null,
  });
  const off = line.status === "inactive" || line.status === "error";
  await shop.transact(off ? [settings, commands.channels.activate(id)] : [settings]);
}
