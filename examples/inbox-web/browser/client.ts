/**
 * What makes an open page live. Whenever something happens, the page is fetched again and what differs is put in place, so
 * the server renders in one way only and every page works without this script.
 */

const CHAT = document.querySelector<HTMLElement>("[data-chat]");
const LOG = document.querySelector<HTMLElement>("#log");
const CONNECTION = document.querySelector<HTMLElement>("#connection");

function listen(): void {
  const source = new EventSource("/events");
  // After every connection, too: what happened before it was not heard.
  source.addEventListener("open", () => {
    say("Live");
    void refresh();
  });
  source.addEventListener("error", () => say("Connecting again"));
  source.addEventListener("change", () => void refresh());
  // A page that the browser keeps for "back" must not hold a connection; shown again, it loads anew.
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
}

function say(state: string): void {
  if (CONNECTION !== null && CONNECTION.textContent !== state) CONNECTION.textContent = state;
}

let isRunning = false;
let isStale = false;

/** Fetches the page and shows what is new: once at a time, however much happens meanwhile. */
async function refresh(): Promise<void> {
  isStale = true;
  if (isRunning) return;
  isRunning = true;
  while (isStale) {
    isStale = false;
    try {
      const response = await fetch(location.href);
      if (response.ok) show(parse(await response.text()));
    } catch {
      say("Connecting again");
    }
  }
  isRunning = false;
}

function parse(text: string): Document {
  return new DOMParser().parseFromString(text, "text/html");
}

function show(fresh: Document): void {
  const focused = document.activeElement;
  const isAtEnd = LOG === null || LOG.scrollHeight - LOG.scrollTop - LOG.clientHeight < 40;
  for (const old of document.querySelectorAll<HTMLElement>("[data-live]")) {
    const twin = fresh.querySelector(`[data-live="${old.dataset.live}"]`);
    if (twin === null) old.remove();
    else morph(old, twin);
  }
  // What is moved loses the focus.
  if (focused instanceof HTMLElement && focused.isConnected) focused.focus({ preventScroll: true });
  if (isAtEnd) toEnd();
  markRead();
}

/** Makes an element like another one, touching only what differs: screen readers say what changes. */
function morph(old: Element, fresh: Element): void {
  if (old.isEqualNode(fresh)) return;
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (fresh.hasAttribute("data-list")) {
    morphList(old, fresh);
    return;
  }
  const [mine, theirs] = [[...old.childNodes], [...fresh.childNodes]];
  if (mine.length !== theirs.length || mine.some((node, index) => node.nodeName !== theirs[index]?.nodeName)) {
    old.replaceChildren(...theirs);
    return;
  }
  mine.forEach((node, index) => {
    const twin = theirs[index] as ChildNode;
    if (node instanceof Element) morph(node, twin as Element);
    else if (node.nodeValue !== twin.nodeValue) node.nodeValue = twin.nodeValue;
  });
}

function morphList(old: Element, fresh: Element): void {
  const known = new Map([...old.children].map((item) => [item.getAttribute("data-key"), item]));
  const items = [...fresh.children].map((item) => {
    const same = known.get(item.getAttribute("data-key"));
    if (same === undefined) return item;
    morph(same, item);
    return same;
  });
  const kept = new Set(items);
  for (const item of [...old.children]) if (!kept.has(item)) item.remove();
  items.forEach((item, index) => {
    if (old.children[index] !== item) old.insertBefore(item, old.children[index] ?? null);
  });
}

function toEnd(): void {
  if (LOG !== null) LOG.scrollTop = LOG.scrollHeight;
}

/** Opening a chat is reading it, and so is having it before one's eyes when something arrives. */
function markRead(): void {
  if (CHAT === null || CHAT.dataset.unread === "0" || document.visibilityState !== "visible") return;
  void fetch(`/chats/${CHAT.dataset.chat}/read`, { method: "POST", redirect: "manual" }).catch(() =>
    say("Connecting again"),
  );
}

/** Sends the reply without leaving the page; the answer is the page, with the box empty or with what is wrong. */
async function send(form: HTMLFormElement): Promise<void> {
  if (form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  const body = new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, String(value)]));
  try {
    const answer = parse(await (await fetch(form.action, { method: "POST", body })).text());
    const fresh = answer.querySelector("#reply");
    if (fresh === null) {
      location.reload();
      return;
    }
    const box = document.importNode(fresh, true);
    form.replaceWith(box);
    show(answer);
    if (box.querySelector(".problem") === null) toEnd();
  } catch {
    form.ariaBusy = "false";
    say("Not sent: the server cannot be reached");
  }
  document.querySelector<HTMLTextAreaElement>("#body")?.focus();
}

document.addEventListener("submit", (event) => {
  if (!(event.target instanceof HTMLFormElement) || event.target.id !== "reply") return;
  event.preventDefault();
  void send(event.target);
});

document.addEventListener("keydown", (event) => {
  const isSend = event.key === "Enter" && (event.ctrlKey || event.metaKey);
  if (isSend && event.target instanceof HTMLTextAreaElement) event.target.form?.requestSubmit();
});

document.addEventListener("visibilitychange", markRead);

document.documentElement.classList.add("live");
const wanted = document.querySelector(".wanted");
if (wanted) wanted.scrollIntoView({ block: "center" });
else toEnd();
markRead();
listen();
