/** Living in a process: its end, its signals, worker threads, memory. */

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { open } from "ventros";
import { describe, expect, test } from "vitest";
import { failure, lasting, location, program, ROOT, world } from "./world.js";

const opened = () => `
  import { open } from "ventros";
  const place = ${JSON.stringify(location())};
  const crm = await open(place);
  const shop = crm.project((await crm.projects.create({ name: "Acme" })).id);
`;

describe("a process ends", () => {
  test("when its work is done, though it listens", async () => {
    const { code, out, err } = await program(`${opened()}
      await shop.on("*", () => {});
      await shop.subscribe("audit", async () => {});
      for (let number = 0; number < 50; number++) await shop.contacts.create({ name: String(number) });
      console.log("end");
    `);
    expect({ code, out, err }).toEqual({ code: 0, out: "end\n", err: "" });
  });

  test("not while a call is under way, though nothing else is", async () => {
    const { code, out } = await program(`${opened()}
      shop.contacts.create({ name: "Ana" }).then(({ name }) => console.log(name));
    `);
    expect({ code, out }).toEqual({ code: 0, out: "Ana\n" });
  });

  test("not while it shall be kept alive", async () => {
    const { code, out } = await program(`
      import { open } from "ventros";
      const crm = await open(${JSON.stringify(location())}, { keepAlive: true });
      const shop = crm.project((await crm.projects.create({ name: "Acme" })).id);
      await shop.on("contact.created", async (event) => {
        console.log(event.data.name);
        if (event.data.name === "last") await crm.close();
      });
      await shop.contacts.create({ name: "first" });
      // The event may be heard, and the CRM closed, before the call is answered.
      setTimeout(() => shop.contacts.create({ name: "last" }).catch(() => {}), 50).unref();
      process.on("exit", () => console.log("exit"));
    `);
    expect(code).toBe(0);
    expect(["first\nexit\n", "first\nlast\nexit\n"]).toContain(out);
    expect(out).toBe("first\nlast\nexit\n");
  });

  test("not while a loop waits for events", async () => {
    const { code, out } = await program(`${opened()}
      setTimeout(() => shop.contacts.create({ name: "Ana" }), 50).unref();
      for await (const event of shop.subscribe("audit", { events: "contact.*" })) {
        console.log(event.type);
        break;
      }
    `);
    expect({ code, out }).toEqual({ code: 0, out: "contact.created\n" });
  });

  test("at once by process.exit, inside a callback too, and closes", async () => {
    const path = lasting();
    const text = `
      import { open } from "ventros";
      const crm = await open(${JSON.stringify(path)}, { keepAlive: true });
      const acme = (await crm.projects.find({ slug: "acme" })) ?? (await crm.projects.create({ name: "Acme" }));
      const shop = crm.project(acme.id);
      await shop.subscribe("audit", (event) => {
        console.log(event.type);
        process.exit(7);
      }, { events: "contact.*", start: "now" });
      await shop.contacts.create({ name: "Ana" });
      await new Promise(() => {});
    `;
    expect(await program(text)).toMatchObject({ code: 7, out: "contact.created\n", err: "" });
    // The second does not wait for the lease of the first to run out: it was given back.
    expect(await program(text)).toMatchObject({ code: 7, out: "contact.created\n", err: "" });
  });

  test("by a signal while a call is under way", async () => {
    const { code, out } = await program(
      `${opened()}
      process.on("SIGINT", async () => {
        await crm.close();
        console.log("closed");
      });
      console.log("ready");
      await shop._call("engine.sleep", {}).catch((error) => console.log(error.code));
    `,
      { after: "ready\n", name: "SIGINT" },
    );
    expect({ code, lines: out.trim().split("\n").sort() }).toEqual({ code: 0, lines: ["closed", "closed", "ready"] });
  });
});

test("a failing callback warns and the process lives on", async () => {
  const { code, out, err } = await program(`${opened()}
    await shop.on("*", () => { throw new Error("sync"); });
    await shop.subscribe("audit", async () => { throw new Error("async"); });
    await shop.contacts.create({ name: "Ana" });
    await crm.runPending();
    await crm.close();
    console.log("end");
  `);
  expect({ code, out }).toEqual({ code: 0, out: "end\n" });
  expect(err).toContain("VentrosWarning: A callback failed on contact.created 2: Error: sync");
  expect(err).toContain("VentrosWarning: A callback failed on project.created 1 and is tried again: Error: async");
});

describe("a worker thread", () => {
  const text = (path: string, rest: string) => `
    const { parentPort } = require("node:worker_threads");
    const { open } = require(${JSON.stringify(join(ROOT, "dist/index.js"))});
    (async () => {
      const crm = await open(${JSON.stringify(path)});
      const acme = (await crm.projects.find({ slug: "acme" })) ?? (await crm.projects.create({ name: "Acme" }));
      const shop = crm.project(acme.id);
      ${rest}
    })();
  `;
  const message = (worker: Worker) =>
    new Promise<unknown>((resolve, reject) => worker.once("message", resolve).once("error", reject));

  test("opens its own, next to the others", async () => {
    const path = lasting();
    const crm = await open(path);
    const { id } = await crm.projects.create({ name: "Acme" });
    const rest = `
      await shop.on("*", (event) => parentPort.postMessage(event.type));
      for (let number = 0; number < 20; number++) await shop.contacts.create({ name: String(number) });
      // A callback keeps no thread alive: what is on its way is waited for, not hoped for.
      await crm.runPending();
    `;
    const workers = [1, 2, 3].map(() => new Worker(text(path, rest), { eval: true }));
    const ended = workers.map((worker) => new Promise((resolve) => worker.once("exit", resolve)));
    expect(await Promise.all(workers.map(message))).toEqual(["contact.created", "contact.created", "contact.created"]);
    expect(await Promise.all(ended)).toEqual([0, 0, 0]);
    expect(await crm.project(id).contacts.count()).toBe(60);
    await crm.close();
  });

  test("may be terminated in the midst of calls and callbacks", async () => {
    const path = lasting();
    const rest = `
      await shop.on("*", () => {});
      for (let number = 0; ; number++) {
        await shop.contacts.create({ name: String(number) });
        if (number === 5) parentPort.postMessage("busy");
      }
    `;
    for (let turn = 0; turn < 3; turn++) {
      const worker = new Worker(text(path, rest), { eval: true });
      expect(await message(worker)).toBe("busy");
      expect(await worker.terminate()).toBe(1);
    }
    const crm = await open(path);
    expect((await crm.projects.list().all()).map((project) => project.name)).toEqual(["Acme"]);
    await crm.close();
  });
});

test("memory stays flat over many calls, callbacks and openings", async () => {
  const calls = Number(process.env.VENTROS_CALLS ?? 6_000);
  const { code, out, err } = await program(
    `${opened()}
    await shop.on("contact.updated", () => {});
    const contact = await shop.contacts.create({ name: "Ana" });
    const { signal } = new AbortController();
    // Without the room that V8 keeps for young objects: it grows once, by 26 MB, when V8 sees fit.
    const resident = () => {
      gc();
      const { rss, heapTotal, heapUsed } = process.memoryUsage();
      return (rss - heapTotal + heapUsed) / 1e6;
    };
    async function work(calls) {
      for (let number = 0; number < calls; number += 20) {
        await Promise.all(Array.from({ length: 20 }, () => shop.contacts.get(contact.id, {}, { signal })));
        await shop.contacts.get(contact.id + "x").catch(() => {});
        if (number % 1000 === 0) await (await open(place)).close();
        const subscription = await shop.on("*", () => {});
        await subscription.cancel();
      }
    }
    for (let turn = 0; turn < 3; turn++) await work(${Math.min(calls, 60_000)});
    const before = resident();
    await work(${calls});
    console.log(resident() - before);
  `,
    undefined,
    590_000,
  );
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(Number(out)).toBeLessThan(16);
}, 600_000);

test("a handle answers after it was closed, and late callbacks are quiet", async () => {
  const { crm, shop } = await world({ background: true });
  let finished = false;
  await shop.on("*", async () => {
    await sleep(100);
    finished = true;
  });
  await shop.contacts.create({ name: "Ana" });
  while (!(await crm.project(shop.id).contacts.count())) await sleep(5);
  await sleep(50);
  await crm.close();
  expect(finished).toBe(true);
  expect(await failure(shop.on("*", () => {}))).toMatchObject({ code: "closed" });
  expect(await failure(crm.runPending())).toMatchObject({ code: "closed" });
});
