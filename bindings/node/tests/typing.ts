/** What the type checker must accept and refuse; nothing here runs. */

import {
  type Command,
  type Crm,
  commands,
  type Event,
  type EventStream,
  NotFoundError,
  type Project,
  type Results,
  type types,
  ValidationError,
  VentrosError,
} from "ventros";

declare const crm: Crm;
declare const shop: Project;
declare const contactId: types.ContactId;
declare const chatId: types.ChatId;

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(..._: Same<A, B> extends true ? [] : [never]): void {}

export async function ids(): Promise<void> {
  await shop.contacts.get(contactId);
  // @ts-expect-error the id of a chat
  await shop.contacts.get(chatId);
  // @ts-expect-error a text that nobody called an id
  await shop.contacts.get("0190f0c0-0000-7000-8000-000000000000");
  const text: string = contactId;
  same<typeof text, string>();
}

export async function inputs(): Promise<void> {
  const contact = await shop.contacts.addTag(contactId, { tag: "vip" }, { expectedVersion: 3, idempotencyKey: "k" });
  same<typeof contact, types.Contact>();
  same<typeof contact.email, string | null>();
  same<typeof contact.tags, string[]>();
  // @ts-expect-error the tag is missing
  await shop.contacts.addTag(contactId, {});
  // @ts-expect-error no such field
  await shop.contacts.addTag(contactId, { tag: "vip", colour: "red" });
  await shop.contacts.update(contactId, { email: null, company: undefined });
  await shop.contacts.update(contactId, {});
  // @ts-expect-error queries have no key
  await shop.contacts.count({}, { idempotencyKey: "k" });
  // @ts-expect-error not one of the choices
  await shop.contacts.update(contactId, { mode: "sometimes" });
  // @ts-expect-error users belong to no project
  shop.users;
  // @ts-expect-error contacts belong to a project
  crm.contacts;
}

export async function results(): Promise<void> {
  for await (const contact of shop.contacts.list()) same<typeof contact, types.Contact>();
  // @ts-expect-error the cursor is the pager's
  shop.contacts.list({ cursor: "x" });
  const found = await shop.contacts.find({ email: "ana@example.com" });
  // @ts-expect-error it may be null
  found.id;
  const [message] = await shop.messages.list().all();
  const content = message?.content;
  if (content?.type === "text") same<typeof content.body, string>();
  // @ts-expect-error only where the type says so
  content?.body;
}

export async function transactions(): Promise<void> {
  const list = [commands.contacts.create({ name: "Ana" }), commands.chats.archive(chatId, {})] as const;
  const [contact, chat] = await shop.transact(list);
  same<typeof contact, types.Contact>();
  same<typeof chat, types.Chat>();
  same<Results<[Command<number>, Command<string>]>, [number, string]>();
  const many: types.Contact[] = await shop.transact(["a", "b"].map((name) => commands.contacts.create({ name })));
  same<(typeof many)[number], types.Contact>();
  // @ts-expect-error queries are no commands
  commands.contacts.list;
}

export async function events(): Promise<void> {
  await shop.on("contact.tag_added", (event) => {
    same<typeof event.type, "contact.tag_added">();
    same<typeof event.data.tag, string>();
    same<typeof event.aggregate_id, types.ContactId>();
  });
  await shop.on(["contact.created", "chat.created"], (event) => {
    same<typeof event.type, "contact.created" | "chat.created">();
    if (event.type === "chat.created") same<typeof event.aggregate_id, types.ChatId>();
  });
  await shop.on("contact.*", (event) => {
    if (event.type === "contact.tag_added") same<typeof event.data.tag, string>();
    // @ts-expect-error not an event of contacts
    if (event.type === "chat.created") return;
  });
  await shop.on("*", (event) => {
    same<typeof event, Event>();
    if (event.type === "contact.tag_added") same<typeof event.data.tag, string>();
  });
  await shop.on("custom.sale", (event) => same<typeof event.data, Record<string, unknown>>());
  // @ts-expect-error no such event
  await shop.on("contact.vanished", () => {});
  // @ts-expect-error no such group
  await shop.on("contcat.*", () => {});
  await shop.subscribe("audit", async (event) => same<typeof event, Event>(), { start: 10, maxAttempts: 3 });
  const stream = shop.subscribe("audit", { events: ["contact.created"] });
  for await (const event of stream) same<typeof event.type, "contact.created">();
  const all = shop.subscribe("audit");
  same<typeof all, EventStream<Event>>();
  // @ts-expect-error not a place in the log
  shop.subscribe("audit", { start: "yesterday" });
}

export function errors(error: unknown): void {
  if (error instanceof NotFoundError) {
    if (error.code === "contact_not_found") return;
    // @ts-expect-error a code of another kind
    if (error.code === "email_invalid") return;
  }
  if (error instanceof ValidationError || error instanceof VentrosError) {
    if (error.code === "email_invalid") same<typeof error.field, string | null>();
    // @ts-expect-error no such code
    if (error.code === "email_invaild") return;
  }
}

export async function disposal(): Promise<void> {
  await using subscription = await shop.on("*", () => {});
  await subscription.cancel();
}
