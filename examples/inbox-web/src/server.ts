/** The routes, and what keeps a page on the web from using them: they answer to this machine's own pages alone. */

import { isUtf8 } from "node:buffer";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type Crm, type Project, types, VentrosError } from "ventros";
import type { Html } from "./html.js";
import { chatList, conversation, find, reply } from "./inbox.js";
import { type LineForm, switchOn } from "./line.js";
import type { Live } from "./live.js";
import { chatPage, frame, linePage, problemPage, type Refused, searchPage, welcome } from "./pages.js";

/** What the server works with. */
export interface Host {
  crm: Crm;
  shop: Project;
  line: types.ChannelId;
  live: Live;
}

interface Request {
  host: Host;
  url: URL;
  /** What the pattern of the route caught. */
  id: string;
  message: IncomingMessage;
}

interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string | Buffer;
}

type Route = [method: string, pattern: RegExp, handler: (request: Request) => Promise<Answer>];

/** More than the engine takes, so that the engine is who refuses. */
const MAX_BODY = 2 * 1024 * 1024;

const STATUS: Partial<Record<VentrosError["kind"], number>> = {
  validation: 422,
  limit_exceeded: 422,
  not_found: 404,
  conflict: 409,
  invalid_state: 409,
  forbidden: 403,
  unauthenticated: 403,
  unavailable: 503,
};

/** Pages load from here alone, and nothing that a customer wrote is ever a script. */
const SAFETY = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cache-control": "no-store",
};

const ROUTES: readonly Route[] = [
  ["GET", /^\/()$/, (request) => page(request, "Inbox", null, async () => welcome())],
  ["GET", /^\/chats\/([\w-]+)$/, (request) => showChat(request, null)],
  ["POST", /^\/chats\/([\w-]+)\/messages$/, sendReply],
  ["POST", /^\/chats\/([\w-]+)\/read$/, markRead],
  ["GET", /^\/search()$/, search],
  ["GET", /^\/line()$/, (request) => showLine(request, null)],
  ["POST", /^\/line()$/, changeLine],
  ["POST", /^\/line\/off()$/, lineOff],
  ["POST", /^\/webhooks\/waha\/([\w-]+)$/, receive],
  ["GET", /^\/style\.css()$/, () => file("../../browser/style.css", "text/css")],
  ["GET", /^\/client\.js()$/, () => file("../browser/client.js", "text/javascript")],
];

/** A server that is not listening yet. */
export function serve(host: Host): Server {
  return createServer((message, response) => {
    answer(host, message, response).catch((error: unknown) => {
      // The inbox has ended, and nobody waits for this answer any more.
      if (message.socket.destroyed && error instanceof VentrosError && error.code === "closed") return;
      console.error(error);
      if (!response.headersSent) response.writeHead(500, SAFETY);
      response.end("Something went wrong here; the server's output says what.");
    });
  });
}

async function answer(host: Host, message: IncomingMessage, response: ServerResponse): Promise<void> {
  const asked = message.url ?? "/";
  if (!URL.canParse(asked, "http://localhost")) {
    response.writeHead(400, SAFETY).end("That is no address.");
    return;
  }
  const url = new URL(asked, "http://localhost");
  if (!isOwn(message, url)) {
    response.writeHead(403, SAFETY).end("Only this machine's own pages may ask for that.");
    return;
  }
  if (url.pathname === "/events") {
    host.live.join(response);
    return;
  }
  const found = ROUTES.flatMap(([method, pattern, handler]) => {
    const id = pattern.exec(url.pathname)?.[1];
    return id !== undefined && method === message.method ? [{ handler, id }] : [];
  })[0];
  if (found === undefined) {
    response.writeHead(404, SAFETY).end("There is nothing here.");
    return;
  }
  const request = { host, url, id: found.id, message };
  const { status, headers, body } = await found.handler(request).catch((error: unknown) => failed(request, error));
  response.writeHead(status, { ...SAFETY, ...headers }).end(body);
}

/**
 * A page elsewhere can make a browser post to this machine, and with a name of its own that leads here even read the answer.
 * Webhooks come from outside, and show the secret of their address.
 */
function isOwn({ headers, method }: IncomingMessage, { pathname }: URL): boolean {
  if (pathname.startsWith("/webhooks/")) return true;
  const name = headers.host ?? "";
  if (!/^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(name)) return false;
  return method === "GET" || headers.origin === undefined || headers.origin === `http://${name}`;
}

async function showChat(request: Request, refused: Refused | null): Promise<Answer> {
  const { host, url } = request;
  const id = types.ChatId(request.id);
  const here = new URL(`/chats/${id}${url.search}`, url);
  const from = { cursor: url.searchParams.get("before"), message: url.searchParams.get("message") };
  const shown = await conversation(host.shop, id, from);
  const status = refused ? statusOf(refused.error) : 200;
  return page({ ...request, url: here }, shown.title, id, async () => chatPage(here, shown, refused), status);
}

async function sendReply(request: Request): Promise<Answer> {
  const form = await formOf(request.message);
  const [body, token] = [(form.get("body") ?? "").replaceAll("\r\n", "\n"), form.get("token") ?? ""];
  try {
    await reply(request.host.shop, types.ChatId(request.id), body, token);
  } catch (error) {
    if (error instanceof VentrosError) return showChat(request, { body, token, error });
    throw error;
  }
  return seeOther(`/chats/${request.id}`);
}

async function markRead({ host, id }: Request): Promise<Answer> {
  await host.shop.chats.markRead(types.ChatId(id));
  return seeOther(`/chats/${id}`);
}

async function search(request: Request): Promise<Answer> {
  const text = request.url.searchParams.get("text") ?? "";
  return page(request, "Search", null, async () => searchPage(text, await find(request.host.shop, text)));
}

async function showLine(request: Request, refused: { form: LineForm; error: VentrosError } | null): Promise<Answer> {
  const { shop, line } = request.host;
  const [details, { url }] = await Promise.all([shop.channels.get(line), shop.channels.webhookUrl(line)]);
  const stored = {
    base_url: String(details.config.base_url ?? ""),
    api_key: "",
    session: details.external_id ?? "",
  };
  const main = linePage(details, url ?? "", refused?.form ?? stored, refused?.error ?? null);
  const here = { ...request, url: new URL("/line", request.url) };
  return page(here, details.name, null, async () => main, refused ? statusOf(refused.error) : 200);
}

async function changeLine(request: Request): Promise<Answer> {
  const sent = await formOf(request.message);
  const value = (name: keyof LineForm) => (sent.get(name) ?? "").trim();
  const form = { base_url: value("base_url"), api_key: value("api_key"), session: value("session") };
  try {
    await switchOn(request.host.shop, request.host.line, form);
  } catch (error) {
    // What was typed is shown again, but for the secret.
    if (error instanceof VentrosError) return showLine(request, { form: { ...form, api_key: "" }, error });
    throw error;
  }
  return seeOther("/line");
}

async function lineOff({ host }: Request): Promise<Answer> {
  await host.shop.channels.deactivate(host.line);
  return seeOther("/line");
}

/** The engine finds the line by the token, checks the signature, stores the delivery and says what to answer. */
async function receive({ host, id, message }: Request): Promise<Answer> {
  const headers = Object.fromEntries(Object.entries(message.headers).map(([name, value]) => [name, String(value)]));
  const body = await bodyOf(message);
  if (!isUtf8(body)) return { status: 400, headers: {}, body: "A webhook is JSON in UTF-8." };
  const reply = await host.crm.inbound.receiveWebhook({ token: id, method: "POST", headers, body });
  return { status: reply.status, headers: { "content-type": "application/json" }, body: reply.body };
}

async function page(
  { host, url }: Request,
  title: string,
  open: types.ChatId | null,
  main: () => Promise<Html>,
  status = 200,
): Promise<Answer> {
  const [list, content] = await Promise.all([chatList(host.shop, url.searchParams.get("page")), main()]);
  const body = frame({ title, url, list, open }, content);
  return { status, headers: { "content-type": "text/html; charset=utf-8" }, body };
}

/** What the engine refuses is shown with its code and field; anything else is a defect of this program. */
async function failed(request: Request, error: unknown): Promise<Answer> {
  if (error instanceof TooLarge) return { status: 413, headers: { connection: "close" }, body: error.message };
  if (!(error instanceof VentrosError)) throw error;
  const plain = { ...request, url: new URL("/", request.url) };
  return page(plain, "That did not work", null, async () => problemPage(error), statusOf(error));
}

function statusOf({ kind }: VentrosError): number {
  return STATUS[kind] ?? 500;
}

function seeOther(location: string): Answer {
  return { status: 303, headers: { location }, body: "" };
}

async function file(path: string, type: string): Promise<Answer> {
  const body = await readFile(new URL(path, import.meta.url));
  return { status: 200, headers: { "content-type": `${type}; charset=utf-8` }, body };
}

async function formOf(message: IncomingMessage): Promise<URLSearchParams> {
  return new URLSearchParams((await bodyOf(message)).toString("utf8"));
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message) {
    size += (chunk as Buffer).length;
    if (size > MAX_BODY) throw new TooLarge("The body of the request is too large.");
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

class TooLarge extends Error {}
