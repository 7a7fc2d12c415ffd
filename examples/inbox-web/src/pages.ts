/** The pages. What a script may replace while a page is open carries `data-live`; the items of such lists a `data-key`. */

import { randomUUID } from "node:crypto";
import type { types, VentrosError } from "ventros";
import { type Html, html, type Part } from "./html.js";
import type { ChatList, Conversation, Found } from "./inbox.js";
import { type LineForm, takesReplies } from "./line.js";
import { content, count, course, day, delivery, short, time } from "./words.js";

/** What every page shows beside its own. */
export interface Frame {
  title: string;
  /** Where the page is: links to its neighbours begin with it. */
  url: URL;
  list: ChatList;
  /** The chat that is open. */
  open: types.ChatId | null;
}

/** A reply that was refused: what it said, and why. */
export interface Refused {
  body: string;
  token: string;
  error: VentrosError;
}

/** A whole page: banner with the search, the list of chats, and what it is about. */
export function frame({ title, url, list, open }: Frame, main: Html): string {
  const { unread } = list;
  const page = url.searchParams.get("page");
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title data-live="title">${unread.messages > 0 && `(${unread.messages}) `}${title}</title>
<link rel="stylesheet" href="/style.css">
<link rel="icon" href="data:,">
<script type="module" src="/client.js"></script>
</head>
<body${url.pathname !== "/" && html` class="reading"`}>
<a class="skip" href="#main">Skip to the conversation</a>
<header>
<a class="home" href="/">Inbox</a>
<form role="search" action="/search">
<label for="search" class="hidden">Search contacts and messages</label>
<input type="search" id="search" name="text" value="${url.searchParams.get("text")}" placeholder="Name, number or words" autocomplete="off">
<button>Search</button>
</form>
<a href="/line">Line</a>
<p id="connection" role="status"></p>
</header>
<nav aria-labelledby="chats-title">
<h2 id="chats-title">Chats</h2>
<p data-live="unread" id="unread" role="status">${unread.messages === 0 ? "Nothing unread" : html`${count(unread.messages, "unread message")} in ${count(unread.chats, "chat")}`}</p>
<ol data-live="chats" data-list class="chats">
${list.entries.map((entry) => chatItem(entry, open, page))}
</ol>
${list.entries.length === 0 && html`<p data-live="none">No chats yet. They appear here when a message arrives.</p>`}
${pager(url, "page", list, "Pages of chats", ["Newer chats", "Older chats"])}
</nav>
<main id="main" tabindex="-1">
${main}
</main>
</body>
</html>
`.text;
}

/** Before a chat is chosen. */
export function welcome(): Html {
  return html`<h1>Inbox</h1>
<p>Choose a chat. New messages, delivery states and unread counts appear by themselves.</p>`;
}

/** A conversation and the box to answer it. */
export function chatPage(url: URL, conversation: Conversation, refused: Refused | null): Html {
  const { chat, title, line } = conversation;
  return html`<div class="title">
<h1><bdi>${title}</bdi></h1>
<p data-live="about">${chat.chat_type} chat on ${line.name} · ${count(chat.message_count, "message")}</p>
</div>
${pager(url, "before", conversation, "Pages of the conversation", ["Newer messages", "Older messages"])}
<div id="log" class="log" role="log" aria-label="Messages" aria-relevant="additions" tabindex="0">
<ol data-live="messages" data-list data-chat="${chat.id}" data-unread="${chat.unread_count}" class="messages">
${messageItems(conversation)}
</ol>
</div>
<form method="post" action="/chats/${chat.id}/read" class="no-script">
<button>Mark as read</button>
</form>
${replyBox(conversation, refused)}`;
}

/** What a search found. */
export function searchPage(text: string, { chats, messages }: Found): Html {
  return html`<h1>Search</h1>
<p role="status">${count(chats.length, "chat")} and ${count(messages.length, "message")} for “<bdi>${text}</bdi>”</p>
<h2>Chats</h2>
<ul class="found">
${chats.map(({ chat, title }) => html`<li><a href="/chats/${chat.id}"><bdi>${title}</bdi></a></li>`)}
</ul>
<h2>Messages</h2>
<ul class="found">
${messages.map(
  ({ message, snippet }) => html`<li><a href="/chats/${message.chat_id}?message=${message.id}">
<bdi>${snippet}</bdi></a> <span class="when">${when(message.timestamp)}</span></li>`,
)}
</ul>`;
}

/** The WhatsApp line: its state, its address, and what it needs to be switched on. */
export function linePage(
  line: types.ChannelDetails,
  webhook: string,
  form: LineForm,
  error: VentrosError | null,
): Html {
  const problems = problemsOf(error);
  return html`<h1>${line.name}</h1>
<dl data-live="line">
<dt>State</dt><dd>${line.status}${takesReplies(line) ? ": replies are accepted" : ": messages are received, replies are refused"}</dd>
<dt>Connection at the gateway</dt><dd>${line.connection.replaceAll("_", " ")}</dd>
</dl>
<p><label for="webhook">Address for the gateway's webhooks, a secret</label>
<input id="webhook" readonly value="${webhook}"></p>
<h2>Gateway</h2>
<p>Replies are accepted once the line is switched on, which needs to know your WAHA gateway. They wait in the queue: this
version of Ventros delivers nothing by itself, and this example does not either.</p>
<form method="post" action="/line" novalidate>
${problemList(problems.filter(({ field }) => !FIELDS.some(({ name }) => isAbout(field, name))))}
${FIELDS.map(({ name, label, type, hint }) => {
  const about = problems.filter(({ field }) => isAbout(field, name));
  return html`<p><label for="${name}">${label}</label>
<input id="${name}" name="${name}" type="${type}" value="${form[name]}" placeholder="${hint}" autocomplete="off"
 ${describedBy(about, `${name}-problem`)}>
${problemList(about, `${name}-problem`)}</p>`;
})}
<button>Save and switch on</button>
</form>
${takesReplies(line) && html`<form method="post" action="/line/off"><button>Switch off</button></form>`}`;
}

/** A page for what went wrong. */
export function problemPage(error: VentrosError): Html {
  return html`<h1>That did not work</h1>
${problemList(problemsOf(error))}
<p><a href="/">Back to the inbox</a></p>`;
}

const FIELDS: readonly { name: keyof LineForm; label: string; type: string; hint: string }[] = [
  { name: "base_url", label: "Address of the gateway", type: "url", hint: "http://localhost:3000" },
  { name: "api_key", label: "API key", type: "password", hint: "" },
  { name: "session", label: "Name of the session", type: "text", hint: "default" },
];

/** The engine's names of what the form calls differently. */
const ALIASES: Partial<Record<keyof LineForm, string>> = { session: "external_id" };

function isAbout(field: string | null, name: keyof LineForm): boolean {
  return field?.split(".").at(-1) === (ALIASES[name] ?? name);
}

function chatItem({ chat, contact_name }: types.InboxEntry, open: types.ChatId | null, page: string | null): Html {
  const last = chat.last_message;
  const query = page ? `?page=${encodeURIComponent(page)}` : "";
  return html`<li data-key="${chat.id}"><a href="/chats/${chat.id}${query}"${chat.id === open && html` aria-current="page"`}>
<span class="who"><bdi>${contact_name ?? chat.subject ?? "Group without a name"}</bdi></span>
${last && html`<span class="when"><time datetime="${last.at}">${short(last.at)}</time></span>`}
<span class="preview" dir="auto">${last && preview(last)}</span>
${chat.unread_count > 0 && html`<span class="badge">${chat.unread_count}<span class="hidden"> unread</span></span>`}
</a></li>
`;
}

function preview(last: types.LastMessage): string {
  if (last.removed) return "Taken back";
  return (last.direction === "outbound" ? "You: " : "") + last.preview;
}

function messageItems({ messages, sessions, message: wanted }: Conversation): Html[] {
  const items: Html[] = [];
  let session: types.SessionId | null = null;
  for (const message of messages) {
    if (message.session_id !== null && message.session_id !== session) {
      session = message.session_id;
      const begun = sessions.get(session);
      if (begun) items.push(sessionItem(begun));
    }
    items.push(messageItem(message, message.id === wanted));
  }
  return items;
}

function sessionItem(session: types.Session): Html {
  return html`<li data-key="session-${session.id}" class="session">
<span>Session of ${when(session.started_at)} · ${course(session)}</span></li>
`;
}

function messageItem(message: types.Message, isWanted: boolean): Html {
  const { kind, text } = content(message.content);
  const isOurs = message.direction === "outbound";
  return html`<li data-key="${message.id}" id="${message.id}" class="message ${message.direction}${isWanted && " wanted"}">
<p class="by"><bdi>${message.sender_name ?? (isOurs ? "You" : "")}</bdi> <span class="hidden">${message.direction}</span>
<span class="when">${when(message.timestamp)}</span></p>
<p class="text" dir="auto">${kind && html`<span class="kind">${kind}</span> `}${text}</p>
<p class="state">${[
    ...message.reactions.map(({ emoji }) => `reaction ${emoji}`),
    message.edit_count > 0 && "edited",
    message.revoked_at !== null && "taken back",
    isOurs && delivery(message),
  ]
    .filter(Boolean)
    .join(" · ")}</p>
</li>
`;
}

function replyBox({ chat, line }: Conversation, refused: Refused | null): Html {
  const problems = problemsOf(refused?.error ?? null);
  return html`<form id="reply" class="reply" method="post" action="/chats/${chat.id}/messages" aria-label="Reply" novalidate>
<p data-live="line-state" class="note">${
    takesReplies(line)
      ? "Replies are queued. This version has nothing that delivers them."
      : html`The line is off: replies are refused until you <a href="/line">switch it on</a>.`
  }</p>
${problemList(problems, "reply-problem")}
<label for="body">Your reply</label>
<textarea id="body" name="body" rows="3" aria-keyshortcuts="Control+Enter"
 ${describedBy(problems, "reply-problem")}>
${refused?.body ?? ""}</textarea>
<input type="hidden" name="token" value="${refused?.token ?? randomUUID()}">
<button>Send</button>
</form>`;
}

interface Problem {
  code: string;
  field: string | null;
  message: string;
}

function problemsOf(error: VentrosError | null): Problem[] {
  return error === null ? [] : [error, ...error.errors];
}

function problemList(problems: readonly Problem[], id?: string): Part {
  if (problems.length === 0) return null;
  return html`<span class="problem" role="alert"${id && html` id="${id}"`}>${problems.map(
    ({ code, field, message }) =>
      html`<span>${message} <code>${code}</code>${field && html` at <code>${field}</code>`}</span>`,
  )}</span>`;
}

function describedBy(problems: readonly Problem[], id: string): Part {
  return problems.length > 0 && html`aria-invalid="true" aria-describedby="${id}"`;
}

function pager(
  url: URL,
  parameter: string,
  { newer, older }: { newer: string | null; older: string | null },
  label: string,
  [newerText, olderText]: readonly [string, string],
): Part {
  const link = (cursor: string | null, text: string, rel: string) => {
    if (cursor === null) return null;
    const query = new URLSearchParams(url.searchParams);
    query.set(parameter, cursor);
    return html`<a href="${url.pathname}?${query.toString()}" rel="${rel}">${text}</a>`;
  };
  const links = [link(newer, newerText, "prev"), " ", link(older, olderText, "next")];
  return html`<div data-live="${parameter}">${
    (newer || older) && html`<nav class="pager" aria-label="${label}">${links}</nav>`
  }</div>`;
}

function when(at: types.Timestamp): Html {
  return html`<time datetime="${at}">${day(at)}, ${time(at)}</time>`;
}
