/** What the pages show and do, in the words of the engine. */

import { type Project, types } from "ventros";

const CHATS_PER_PAGE = 20;
const MESSAGES_PER_PAGE = 50;

/** A page of the list of chats. */
export interface ChatList {
  entries: types.InboxEntry[];
  newer: string | null;
  older: string | null;
  unread: types.UnreadCounts;
}

/** A page of one conversation, the newest message last. */
export interface Conversation {
  chat: types.Chat;
  title: string;
  line: types.ChannelDetails;
  messages: types.Message[];
  sessions: Map<types.SessionId, types.Session>;
  newer: string | null;
  older: string | null;
  /** The message to show, when it is not simply the newest. */
  message: string | null;
}

/** A chat or a message that was found. */
export interface Found {
  chats: { chat: types.Chat; title: string }[];
  messages: types.MessageHit[];
}

/** The list of chats, newest message first. */
export async function chatList(shop: Project, cursor: string | null): Promise<ChatList> {
  const [page, unread] = await Promise.all([
    shop.chats.inbox({ limit: CHATS_PER_PAGE }).page(cursor ?? undefined),
    shop.chats.unreadSummary(),
  ]);
  return { entries: page.items, newer: page.prev_cursor, older: page.next_cursor, unread };
}

/** A conversation up to its newest message, or up to `message`. */
export async function conversation(
  shop: Project,
  id: types.ChatId,
  { cursor, message }: { cursor: string | null; message: string | null },
): Promise<Conversation> {
  const chat = await shop.chats.get(id);
  const inChat = { field: "chat_id", op: "eq", value: id } as const;
  const until = message && (await shop.messages.get(types.MessageId(message))).timestamp;
  const filter = until ? { all: [inChat, { field: "timestamp", op: "lte", value: until } as const] } : inChat;
  const [page, title, line] = await Promise.all([
    shop.messages.list({ filter, sort: ["-timestamp"], limit: MESSAGES_PER_PAGE }).page(cursor ?? undefined),
    titleOf(shop, chat),
    shop.channels.get(chat.channel_id),
  ]);
  const ids = new Set(page.items.flatMap(({ session_id }) => session_id ?? []));
  const sessions = await Promise.all([...ids].map((session) => shop.sessions.get(session)));
  return {
    chat,
    title,
    line,
    messages: page.items.toReversed(),
    sessions: new Map(sessions.map((session) => [session.id, session])),
    newer: page.prev_cursor,
    older: page.next_cursor,
    message,
  };
}

/** Chats by name or number, messages by their words. */
export async function find(shop: Project, text: string): Promise<Found> {
  const [chats, messages] = await Promise.all([shop.chats.search({ text }), shop.messages.search({ text })]);
  const titles = await Promise.all(chats.map(({ chat }) => titleOf(shop, chat)));
  return { chats: chats.map(({ chat }, index) => ({ chat, title: titles[index] ?? "" })), messages };
}

/** Puts a text into the queue. The token makes a form that is sent twice one message. */
export async function reply(shop: Project, chat_id: types.ChatId, body: string, client_token: string): Promise<void> {
  await shop.messages.send({ chat_id, content: { type: "text", body }, client_token });
}

/** Who a chat is with. */
async function titleOf(shop: Project, chat: types.Chat): Promise<string> {
  if (chat.contact_id === null) return chat.subject ?? "Group without a name";
  return (await shop.contacts.get(chat.contact_id, { include_deleted: true })).name;
}
