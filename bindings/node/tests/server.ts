/** A private PostgreSQL for the tests of one run, as the tests of all languages start it. It ends when its input does. */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";

const SERVE = fileURLToPath(new URL("../../../storage-postgres/tests/cluster/serve.sh", import.meta.url));

declare module "vitest" {
  interface ProvidedContext {
    /** The address of the server, where the tests are to run on it. */
    postgres: string | undefined;
  }
}

export default async function setup(project: TestProject): Promise<() => void> {
  const script = spawn(SERVE, { stdio: ["pipe", "pipe", "inherit"] });
  const { value, done } = await createInterface(script.stdout)[Symbol.asyncIterator]().next();
  if (done) throw new Error(`no PostgreSQL: ${SERVE} says why`);
  project.provide("postgres", value);
  return () => {
    script.stdin.end();
    script.stdout.destroy();
    script.unref();
  };
}
