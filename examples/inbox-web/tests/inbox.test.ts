/** The inbox as people use it, in a real browser. */

import assert from "node:assert/strict";
import { request } from "node:http";
import { createRequire } from "node:module";
import { test } from "node:test";
import type { Page } from "playwright-core";
import {
  counts,
  type Delivered,
  eventually,
  freshFile,
  hasFocus,
  newPage,
  PAYLOADS,
  Program,
  says,
  switchOn,
  tabTo,
  textOf,
  world,
} from "./world.js";

const BRUNO: Delivered = { id: "B1", phone: "5511980000077", name: "Bruno", body: "Hello there", at: 1741700000 };
const HOSTILE = '<script>window.owned = 1</script><img src="x" onerror="window.owned = 1"> & "quoted"';

const chats = (page: Page) => page.getByRole("navigation", { name: "Chats" }).locator("ol > li");
const messages = (page: Page) => page.getByRole("log").locator("li.message");
const reply = (page: Page) => page.getByLabel("Your reply");

test("a chat appears on an open page when its first message is delivered", async (test) => {
  const { program, page } = await world(test);
  await counts(chats(page), 0);
  await page.evaluate("window.sameDocument = true");
  await program.deliver("01_session_working.json");
  await program.deliver("02_text_from_ad.json");
  await counts(chats(page), 1);
  await says(chats(page).locator(".who"), "Ana Beatriz");
  await says(chats(page).locator(".badge"), "1 unread");
  await program.deliver("04_text.json");
  await says(chats(page).locator(".badge"), "2 unread");
  await says(chats(page).locator(".preview"), "É para sábado, umas 20 pessoas.");
  await says(page.locator("#unread"), "2 unread messages in 1 chat");
  assert.equal(await page.title(), "(2) Inbox");
  assert.equal(await page.evaluate("window.sameDocument"), true);
});

test("opening a chat reads it, and so does having it open", async (test) => {
  const { program, page } = await world(test);
  await program.receive(BRUNO);
  await chats(page).getByRole("link").click();
  await says(messages(page).locator(".text"), "Hello there");
  await says(page.locator("#unread"), "Nothing unread");
  await counts(page.locator(".badge"), 0);
  await program.receive({ ...BRUNO, id: "B2", body: "Are you there?", at: BRUNO.at + 10 });
  await says(messages(page).locator(".text").nth(1), "Are you there?");
  await says(page.locator("#unread"), "Nothing unread");
  await eventually(async () => assert.equal(await page.title(), "Bruno"));
});

test("what becomes of a message shows at once", async (test) => {
  const { program, page } = await world(test);
  await program.deliver("02_text_from_ad.json");
  await chats(page).getByRole("link").click();
  await program.deliver("05_echo_from_device.json");
  const state = messages(page).nth(1).locator(".state");
  await says(state, "sent");
  await program.deliver("06_ack_delivered.json");
  await says(state, "delivered");
  await program.deliver("07_ack_read.json");
  await says(state, "read");
});

test("a reply is refused while the line is off, and what was written stays", async (test) => {
  const { program, page } = await world(test);
  await program.receive(BRUNO);
  await chats(page).getByRole("link").click();
  await page.getByText("The line is off").waitFor();
  await reply(page).fill("Yes");
  await page.getByRole("button", { name: "Send" }).click();
  const problem = page.locator("#reply").getByRole("alert");
  await problem.waitFor();
  assert.match(await textOf(problem), /channel_not_active/);
  assert.equal(await reply(page).inputValue(), "Yes");
  await counts(messages(page), 1);
});

test("the line says at each field what it needs, then is on, then connected", async (test) => {
  const { program, page } = await world(test);
  await page.goto(`${program.origin}/line`);
  await page.getByRole("button", { name: "Save and switch on" }).click();
  await page.locator("#base_url-problem", { hasText: "config_field_missing" }).waitFor();
  await page.locator("#api_key-problem", { hasText: "config_field_missing" }).waitFor();
  assert.equal(await page.getByLabel("API key").getAttribute("aria-invalid"), "true");
  await page.getByLabel("Address of the gateway", { exact: true }).fill("ftp://elsewhere");
  await page.getByRole("button", { name: "Save and switch on" }).click();
  await page.locator("#base_url-problem", { hasText: "config_field_invalid" }).waitFor();
  await switchOn(page, program.origin);
  const state = page.locator("dd").first();
  await says(state, "activating: replies are accepted");
  await program.deliver("01_session_working.json");
  await says(state, "active: replies are accepted");
  await page.getByRole("button", { name: "Switch off" }).click();
  await says(state, "inactive: messages are received, replies are refused");
});

test("a reply waits in the queue, and says so", async (test) => {
  const { program, page } = await world(test);
  await program.receive(BRUNO);
  await switchOn(page, program.origin);
  await chats(page).getByRole("link").click();
  await page.evaluate("window.sameDocument = true");
  await reply(page).fill("First line\nsecond line");
  await page.getByRole("button", { name: "Send" }).click();
  await counts(messages(page), 2);
  await says(messages(page).nth(1).locator(".state"), "queued, not delivered yet");
  assert.equal(await textOf(messages(page).nth(1).locator(".text")), "First line\nsecond line");
  await counts(page.locator("li.session"), 2);
  await eventually(async () => assert.equal(await reply(page).inputValue(), ""));
  assert.ok(await hasFocus(reply(page)));
  await says(chats(page).locator(".preview"), "You: First line second line");
  assert.equal(await page.evaluate("window.sameDocument"), true);
});

test("an empty reply is refused at its field", async (test) => {
  const { program, page } = await world(test);
  await program.receive(BRUNO);
  await switchOn(page, program.origin);
  await chats(page).getByRole("link").click();
  await page.getByRole("button", { name: "Send" }).click();
  const problem = page.locator("#reply-problem");
  await problem.waitFor();
  assert.match(await textOf(problem), /text_required at .*body/);
  assert.equal(await reply(page).getAttribute("aria-invalid"), "true");
  assert.equal(await reply(page).getAttribute("aria-describedby"), "reply-problem");
  await eventually(async () => assert.ok(await hasFocus(reply(page))));
  await reply(page).fill("Now it says something");
  await page.getByRole("button", { name: "Send" }).click();
  await counts(messages(page), 2);
  await counts(problem, 0);
});

test("what customers write is text wherever it is shown", async (test) => {
  const { program, page } = await world(test);
  const name = `"><script>window.owned = 1</script>`;
  await program.receive({ ...BRUNO, name, body: HOSTILE });
  await says(chats(page).locator(".who"), name);
  await says(chats(page).locator(".preview"), HOSTILE);
  const shown = [page.url()];
  await chats(page).getByRole("link").click();
  await says(messages(page).locator(".text"), HOSTILE);
  await says(page.getByRole("heading", { level: 1 }), name);
  shown.push(page.url(), `${program.origin}/search?text=${encodeURIComponent('"><script>window.owned')}`);
  await page.goto(shown[2] ?? "");
  await counts(page.locator("main li"), 2);
  assert.equal(await page.getByRole("searchbox").inputValue(), '"><script>window.owned');
  for (const address of shown) {
    // The policy of the page would keep the script from running: it must not even be one.
    assert.doesNotMatch(await (await fetch(address)).text(), /<script>|<img/);
    await page.goto(address);
    await counts(page.locator("body script, body img"), 0);
    assert.equal(await page.evaluate("window.owned"), undefined);
  }
});

test("everything is done with the keyboard alone", async (test) => {
  const { program, page } = await world(test);
  await program.receive(BRUNO);
  await counts(chats(page), 1);
  await page.keyboard.press("Tab");
  assert.ok(await hasFocus(page.getByRole("link", { name: "Skip to the conversation" })));
  await page.keyboard.press("Enter");
  await eventually(async () => assert.ok(await hasFocus(page.getByRole("main"))));

  await page.reload();
  await tabTo(page, page.getByRole("link", { name: "Line" }));
  await page.keyboard.press("Enter");
  await page.waitForURL(`${program.origin}/line`);
  await tabTo(page, page.getByLabel("Address of the gateway", { exact: true }));
  for (const text of ["http://localhost:3000", "secret", "default"]) {
    await page.keyboard.type(text);
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await page.locator("dd", { hasText: "replies are accepted" }).waitFor();

  await tabTo(page, chats(page).getByRole("link"));
  await page.keyboard.press("Enter");
  await messages(page).first().waitFor();
  await tabTo(page, page.getByRole("log"));
  await tabTo(page, reply(page));
  await page.keyboard.type("With the button");
  await page.keyboard.press("Tab");
  assert.ok(await hasFocus(page.getByRole("button", { name: "Send" })));
  await page.keyboard.press("Enter");
  await counts(messages(page), 2);
  await eventually(async () => assert.ok(await hasFocus(reply(page))));
  await page.keyboard.type("With the shortcut");
  await page.keyboard.press("Control+Enter");
  await says(messages(page).nth(2).locator(".text"), "With the shortcut");
});

test("the newest chat comes first, and the focus stays where it is", async (test) => {
  const { program, page } = await world(test);
  await program.receive(BRUNO);
  const carla = { id: "C1", phone: "5511980000088", name: "Carla", body: "Hi", at: BRUNO.at + 60 };
  await program.receive(carla);
  await says(chats(page).nth(0).locator(".who"), "Carla");
  const bruno = page.getByRole("link", { name: /Bruno/ });
  await bruno.focus();
  await program.receive({ ...BRUNO, id: "B2", body: "Me again", at: BRUNO.at + 120 });
  await says(chats(page).nth(0).locator(".who"), "Bruno");
  await says(chats(page).nth(0).locator(".badge"), "2 unread");
  assert.ok(await hasFocus(bruno));
});

test("what is being written survives what arrives", async (test) => {
  const { program, page } = await world(test);
  await program.receive(BRUNO);
  await chats(page).getByRole("link").click();
  await reply(page).fill("Half a sent");
  await program.receive({ ...BRUNO, id: "B2", body: "Hurry", at: BRUNO.at + 10 });
  await counts(messages(page), 2);
  assert.equal(await reply(page).inputValue(), "Half a sent");
  assert.ok(await hasFocus(reply(page)));
});

test("long lists and long conversations come in pages", async (test) => {
  const { program, page } = await world(test);
  for (let number = 0; number < 23; number++) {
    const [id, phone] = [`P${number}`, `55119800001${String(number).padStart(2, "0")}`];
    await program.receive({ id, phone, name: `Person ${number}`, body: "Hi", at: BRUNO.at + number });
  }
  for (let number = 0; number < 55; number++) {
    await program.receive({ ...BRUNO, id: `B${number}`, body: `Text ${number}`, at: BRUNO.at + 100 + number });
  }
  await counts(chats(page), 20);
  await says(chats(page).nth(0).locator(".badge"), "55 unread");
  await page.getByRole("link", { name: "Older chats" }).click();
  await counts(chats(page), 4);
  await page.getByRole("link", { name: "Newer chats" }).click();
  await counts(chats(page), 20);
  await page.getByRole("link", { name: /Bruno/ }).click();
  await counts(messages(page), 50);
  await says(messages(page).last().locator(".text"), "Text 54");
  await page.getByRole("link", { name: "Older messages" }).click();
  await counts(messages(page), 5);
  await says(messages(page).first().locator(".text"), "Text 0");
  await page.getByRole("link", { name: "Newer messages" }).click();
  await counts(messages(page), 50);
});

test("a search finds people and words, and leads to the message", async (test) => {
  const { program, page } = await world(test, ["--feed", PAYLOADS]);
  await page.getByRole("searchbox").fill("sábado");
  await page.keyboard.press("Enter");
  await page
    .getByRole("main")
    .getByRole("link", { name: /sábado/ })
    .click();
  await says(page.locator(".wanted .text"), "É para sábado, umas 20 pessoas.");
  await page.getByRole("searchbox").fill("ana");
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByRole("main").getByRole("link", { name: "Ana Beatriz" }).click();
  await says(page.getByRole("heading", { level: 1 }), "Ana Beatriz");
  assert.match(program.output, /Fed .*recorded/);
});

test("the samples are fed once, and every kind of content has its word", async (test) => {
  const file = freshFile(test);
  const first = await Program.start(file, ["--feed", PAYLOADS]);
  assert.match(first.output, /[1-9]\d* recorded/);
  await first.stop();
  const second = await Program.start(file, ["--feed", PAYLOADS]);
  test.after(() => second.stop());
  assert.doesNotMatch(second.output, /recorded/);
  const page = await newPage(test);
  await page.goto(second.origin);
  await page.getByRole("link", { name: /^Ana Beatriz/ }).click();
  const kinds = await page.locator(".kind").allTextContents();
  for (const kind of ["image", "voice", "location", "document", "sticker", "contact card"]) {
    assert.ok(kinds.includes(kind), `${kind} is not in ${kinds.join(", ")}`);
  }
});

test("a page that lost the server catches up by itself", async (test) => {
  const file = freshFile(test);
  const first = await Program.start(file);
  const page = await newPage(test);
  await page.goto(first.origin);
  await page.locator("#connection", { hasText: /^Live$/ }).waitFor();
  await first.stop();
  await page.locator("#connection", { hasText: "Connecting again" }).waitFor();
  // What it is fed is told to nobody: it comes before anybody listens.
  const second = await Program.start(file, ["--feed", PAYLOADS], Number(new URL(first.origin).port));
  test.after(() => second.stop());
  assert.equal(second.webhook, first.webhook);
  await page.locator("#connection", { hasText: /^Live$/ }).waitFor();
  await counts(chats(page), 2);
});

test("without scripts the pages work as forms do", async (test) => {
  const { program, page: live } = await world(test);
  await program.receive(BRUNO);
  await counts(chats(live), 1);
  const page = await newPage(test, { javaScriptEnabled: false });
  await page.goto(program.origin);
  await chats(page).getByRole("link").click();
  await page.getByRole("button", { name: "Mark as read" }).click();
  await says(page.locator("#unread"), "Nothing unread");
  await reply(page).fill("Kept");
  await page.getByRole("button", { name: "Send" }).click();
  assert.match(await textOf(page.locator("#reply-problem")), /channel_not_active/);
  assert.equal(await reply(page).inputValue(), "Kept");
  await switchOn(page, program.origin);
  await chats(page).getByRole("link").click();
  await reply(page).fill("Sent by a form");
  await page.getByRole("button", { name: "Send" }).click();
  await says(messages(page).nth(1).locator(".text"), "Sent by a form");
});

test("pages of other places may not ask, and an unknown chat is an error in words", async (test) => {
  const { program, page } = await world(test);
  assert.equal(await status(program.origin, "GET", "/", { host: "evil.example" }), 403);
  assert.equal(await status(program.origin, "POST", "/line/off", { origin: "http://evil.example" }), 403);
  assert.equal(await status(program.origin, "POST", "/webhooks/waha/unknown", { host: "evil.example" }), 404);
  assert.equal(await status(program.origin, "GET", "/nowhere", {}), 404);
  assert.equal(await status(program.origin, "GET", "//", {}), 400);
  const bytes = await fetch(program.webhook, { method: "POST", body: Buffer.from([0xff, 0xfe]) });
  assert.equal(bytes.status, 400);
  const answer = await page.goto(`${program.origin}/chats/0190aaaa-0000-7000-8000-000000000000`);
  assert.equal(answer?.status(), 404);
  assert.match(await textOf(page.getByRole("alert")), /chat_not_found/);
});

test("no page breaks a rule of accessibility, and one is kept as a picture", async (test) => {
  const { program, page } = await world(test, ["--feed", PAYLOADS]);
  await accessible(page);
  await page.goto(`${program.origin}/search?text=bolo`);
  await accessible(page);
  await page.goto(`${program.origin}/line`);
  await page.getByRole("button", { name: "Save and switch on" }).click();
  await page.locator("#base_url-problem").waitFor();
  await accessible(page);
  await switchOn(page, program.origin);
  await page.getByRole("link", { name: /^Ana Beatriz/ }).click();
  await page.getByRole("button", { name: "Send" }).click();
  await page.locator("#reply-problem").waitFor();
  await accessible(page);
  await page.setViewportSize({ width: 360, height: 640 });
  await accessible(page);
  await page.setViewportSize({ width: 1100, height: 720 });
  await reply(page).fill("Combinado, Ana! O bolo fica pronto na sexta.");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByText("queued, not delivered yet").waitFor();
  await program.receive({ ...BRUNO, body: "Vocês abrem no domingo?", at: Math.floor(Date.now() / 1000) });
  await says(chats(page).filter({ hasText: "Bruno" }).locator(".badge"), "1 unread");
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
});

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

interface Violation {
  id: string;
  nodes: { html: string; failureSummary: string }[];
}

/** Runs the rules of axe on the page as it is. */
async function accessible(page: Page): Promise<void> {
  const { readFile } = await import("node:fs/promises");
  await page.evaluate(await readFile(AXE, "utf8"));
  const violations = await page.evaluate<Violation[]>("axe.run().then(({ violations }) => violations)");
  const told = violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`));
  assert.deepEqual(told, [], `at ${page.url()}`);
}

/** Asks with headers that a browser sets by itself, and gives the status. */
function status(origin: string, method: string, path: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(`${origin}${path}`, { method, headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    asked.on("error", reject).end();
  });
}
