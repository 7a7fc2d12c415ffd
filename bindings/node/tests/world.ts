/** What the tests share: stores, an installation whose clock and work are moved by hand, and ways into a process. */

import { execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Crm, ManualClock, type OpenOptions, open, type Project } from "ventros";
import { inject, onTestFinished } from "vitest";

/** The package's own folder. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
export const PAYLOADS = join(ROOT, "../../examples/quickstart/payloads");

export interface World {
  clock: ManualClock;
  crm: Crm;
  shop: Project;
}

/** A store that nobody else has. */
export function location(): string {
  return inject("postgres") ? lasting() : ":memory:";
}

/** The same, which others may open too. */
export function lasting(): string {
  const server = inject("postgres");
  if (server === undefined) return join(folder(), "crm.db");
  return `${server}${server.includes("?") ? "&" : "?"}schema=js_${randomUUID().replaceAll("-", "")}`;
}

/** A project in a CRM that is closed after the test. */
export async function world(options: OpenOptions = {}): Promise<World> {
  const clock = new ManualClock(new Date("2025-01-06T09:00:00Z"));
  const crm = await open(location(), { clock, background: false, ...options });
  onTestFinished(() => crm.close());
  const { id } = await crm.projects.create({ name: "Acme", default_region: "BR" });
  return { clock, crm, shop: crm.project(id) };
}

/** A folder that is removed after the test. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "ventros-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** What a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it did not fail");
}

/** Calls an operation of the handle that is no part of the API. */
export function engineCall(handle: Crm | Project, operation: string, signal?: AbortSignal): Promise<unknown> {
  const { _call } = handle as unknown as { _call(operation: string, input: object, options: object): Promise<unknown> };
  return _call.call(handle, operation, {}, { signal });
}

export interface Ended {
  code: number | null;
  out: string;
  err: string;
}

/** Runs a program that may import `ventros` in a process of its own, for so many milliseconds at most. */
export function program(
  text: string,
  signal?: { after: string; name: NodeJS.Signals },
  limit = 50_000,
): Promise<Ended> {
  const path = join(folder(), "program.mjs");
  const from = JSON.stringify(pathToFileURL(join(ROOT, "dist/index.mjs")).href);
  writeFileSync(path, text.replaceAll('"ventros"', from));
  const child = spawn(process.execPath, ["--expose-gc", path], { stdio: ["ignore", "pipe", "pipe"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), limit);
  return new Promise((resolve) => {
    let [out, err] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
      if (signal !== undefined && !child.killed && out.includes(signal.after)) child.kill(signal.name);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      err += text;
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, out, err });
    });
  });
}

/** Runs a command and gives what it prints. */
export function command(name: string, parameters: string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(name, parameters, { cwd, encoding: "utf8", maxBuffer: 1 << 24 }, (error, out, err) => {
      if (error === null) resolve(out);
      else reject(new Error(`${name} ${parameters.join(" ")}: ${err}${out}`));
    });
  });
}
