/** What the tests share: the program in a process of its own on a fresh file, a real browser, and a WAHA that delivers. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from "playwright-core";

const PROGRAM = fileURLToPath(new URL("../src/main.js", import.meta.url));
export const PAYLOADS = fileURLToPath(new URL("../../../quickstart/payloads/", import.meta.url));

/** How long what a person would wait for may take, on a busy machine. */
const PATIENCE = 20_000;

/** The line's gateway as a person types it; nothing listens there, and nothing is sent. */
export const GATEWAY = { base_url: "http://localhost:3000", api_key: "secret", session: "default" };

/** A message that was delivered. */
export interface Delivered {
  /** Of the message; the same again is the same message. */
  id: string;
  phone: string;
  name: string;
  body: string;
  /** Seconds. */
  at: number;
}

/** The program. */
export class Program {
  readonly #child: ChildProcess;
  readonly #complaints: () => string;
  readonly origin: string;
  readonly webhook: string;
  readonly output: string;

  private constructor(child: ChildProcess, output: string, complaints: () => string) {
    this.#child = child;
    this.#complaints = complaints;
    this.output = output;
    this.origin = /Inbox at (\S+)\//.exec(output)?.[1] ?? "";
    this.webhook = /go to (\S+)/.exec(output)?.[1] ?? "";
  }

  /** Starts it, and waits until it listens. */
  static async start(file: string, parameters: string[] = [], port = 0): Promise<Program> {
    const child = spawn(process.execPath, [PROGRAM, "--file", file, "--port", String(port), ...parameters], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.add(child);
    let [output, complaints] = ["", ""];
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      complaints += text;
    });
    await new Promise<void>((resolve, reject) => {
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        if (/Inbox at .*\n/.test(output)) resolve();
      });
      child.once("exit", (code) => reject(new Error(`the program ended with ${code}: ${complaints}`)));
    });
    return new Program(child, output, () => complaints);
  }

  /** Ends it the way a terminal does: it goes in peace, with nothing to complain about. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null) {
      const ended = new Promise((resolve) => this.#child.once("close", resolve));
      this.#child.kill("SIGTERM");
      await ended;
    }
    assert.deepEqual({ code: this.#child.exitCode, complaints: this.#complaints() }, { code: 0, complaints: "" });
  }

  /** Delivers one of the sample webhooks. */
  deliver(name: string): Promise<void> {
    return this.post(new Uint8Array(readFileSync(join(PAYLOADS, name))));
  }

  /** Delivers a text of a contact. */
  async receive({ id, phone, name, body, at }: Delivered): Promise<void> {
    const sample = JSON.parse(readFileSync(join(PAYLOADS, "04_text.json"), "utf8"));
    const { payload } = sample;
    const { Info } = payload._data;
    Object.assign(payload, { id: `false_${phone}@c.us_${id}`, timestamp: at, from: `${phone}@c.us`, body });
    const who = `${phone}@s.whatsapp.net`;
    const moment = new Date(at * 1000).toISOString();
    Object.assign(Info, { Chat: who, Sender: who, SenderAlt: "", ID: id, PushName: name, Timestamp: moment });
    payload._data.Message = { conversation: body };
    await this.post(JSON.stringify({ ...sample, id: `evt_${id}` }));
  }

  async post(body: string | Uint8Array<ArrayBuffer>): Promise<void> {
    const answer = await fetch(this.webhook, { method: "POST", body });
    assert.equal(answer.status, 200, await answer.text());
  }
}

const children = new Set<ChildProcess>();
let browser: Browser | undefined;

// Also when a test fails, and when this process is told to end while a test starts another program.
after(end);
process.once("exit", kill);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
  process.once(signal, () => void end().finally(() => process.exit(1)));

async function end(): Promise<void> {
  kill();
  await browser?.close();
}

function kill(): void {
  for (const child of children) child.kill("SIGKILL");
}

/** A browser of this machine: of `CHROMIUM`, or the first of the usual names. */
function executable(): string {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const folders = (process.env.PATH ?? "").split(delimiter);
  const found = folders.flatMap((folder) => names.map((name) => join(folder, name))).find(existsSync);
  if (found === undefined) throw new Error("no browser: install the package chromium, or set CHROMIUM to its path");
  return found;
}

/** A page in a browser that knows nothing yet; what goes wrong in its scripts fails the test. */
export async function newPage(test: TestContext, options: BrowserContextOptions = {}): Promise<Page> {
  browser ??= await chromium.launch({
    executablePath: executable(),
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
  const context = await browser.newContext({ viewport: { width: 1100, height: 720 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const errors: Error[] = [];
  page.on("pageerror", (error) => errors.push(error));
  test.after(async () => {
    await context.close();
    assert.deepEqual(errors, []);
  });
  return page;
}

/** A fresh file in a folder that is removed after the test. */
export function freshFile(test: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "inbox-"));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "inbox.db");
}

/** The program on a fresh file, and a page that shows it. */
export async function world(test: TestContext, parameters: string[] = []): Promise<{ program: Program; page: Page }> {
  const program = await Program.start(freshFile(test), parameters);
  test.after(() => program.stop());
  const page = await newPage(test);
  await page.goto(program.origin);
  await page.locator("#connection", { hasText: /^Live$/ }).waitFor();
  return { program, page };
}

/** Fills in the form of the line. */
export async function switchOn(page: Page, origin: string): Promise<void> {
  await page.goto(`${origin}/line`);
  await page.getByLabel("Address of the gateway", { exact: true }).fill(GATEWAY.base_url);
  await page.getByLabel("API key").fill(GATEWAY.api_key);
  await page.getByLabel("Name of the session").fill(GATEWAY.session);
  await page.getByRole("button", { name: "Save and switch on" }).click();
  await page.locator("dd", { hasText: "replies are accepted" }).waitFor();
}

/** Waits until a check passes, and says what failed last when it does not. */
export async function eventually(check: () => Promise<void>): Promise<void> {
  const until = performance.now() + PATIENCE;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Waits until an element says exactly this, spaces aside. */
export function says(locator: Locator, expected: string): Promise<void> {
  return eventually(async () => {
    assert.equal((await textOf(locator)).replace(/\s+/g, " ").trim(), expected);
  });
}

/** Waits until there are so many. */
export function counts(locator: Locator, expected: number): Promise<void> {
  return eventually(async () => assert.equal(await locator.count(), expected));
}

/** Presses the tab key until what is wanted has the focus. */
export async function tabTo(page: Page, wanted: Locator): Promise<void> {
  for (let presses = 0; presses < 60; presses++) {
    if (await hasFocus(wanted)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`the tab key does not lead to ${wanted}`);
}

/** Whether it has the focus. */
export function hasFocus(locator: Locator): Promise<boolean> {
  return locator.evaluate((element) => element === document.activeElement);
}

/** What an element says, as it stands in the page. */
export async function textOf(locator: Locator): Promise<string> {
  return (await locator.textContent()) ?? "";
}
