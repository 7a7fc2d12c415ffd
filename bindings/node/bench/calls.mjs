// What a call costs in Node beside the same call in Rust, what turning values into JSON and back costs, and how fast events
// reach one handler.
//
// make bench-node

import { execFileSync } from "node:child_process";
import { commands, open } from "ventros";

const CALLS = 5_000;
const EVENTS = 100_000;

/** The median of many runs in microseconds. */
async function median(run, runs = CALLS) {
  const times = [];
  for (let number = 0; number < runs; number++) {
    const started = performance.now();
    await run(number);
    times.push(performance.now() - started);
  }
  return times.sort((a, b) => a - b)[runs / 2] * 1_000;
}

/** Resolves when as many events as were made have come, and says how many came in a second. Throws for one out of order. */
function hearing() {
  const started = performance.now();
  let heard = 0;
  let resolve;
  const rate = new Promise((done) => {
    resolve = done;
  });
  const handler = ({ data }) => {
    if (data.name !== `${heard}`) throw new Error(`${data.name} came in place of ${heard}`);
    if (++heard === EVENTS) resolve((EVENTS / (performance.now() - started)) * 1_000);
  };
  return { handler, rate };
}

/** How many events a second reach one handler: while they are made, 100 to a commit, and when all are there. */
async function events() {
  const crm = await open(":memory:", { keepAlive: true });
  const shop = crm.project((await crm.projects.create({ name: "Acme" })).id);
  const live = hearing();
  await shop.on("contact.created", live.handler);
  for (let made = 0; made < EVENTS; ) {
    await shop.transact(hundred(() => commands.contacts.create({ name: `${made++}` })));
  }
  const whileMade = await live.rate;
  const durable = hearing();
  await shop.subscribe("bench", durable.handler, { events: "contact.created" });
  const afterwards = await durable.rate;
  await crm.close();
  return { whileMade, afterwards };
}

const hundred = (make) => Array.from({ length: 100 }, make);

const flags = ["run", "--quiet", "--release", "--package", "ventros-ffi", "--example", "calls"];
const rust = JSON.parse(execFileSync("cargo", flags, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }));

const crm = await open(":memory:", { background: false });
const { id } = await crm.projects.create({ name: "Acme" });
const shop = crm.project(id);
const contact = await shop.contacts.create({ name: "Ana", email: "ana@example.com", custom_fields: { plan: "gold" } });
const node = {
  "contacts.get": await median(() => shop.contacts.get(contact.id)),
  "contacts.create": await median((number) => shop.contacts.create({ name: `Contact ${number}` })),
};
const atOnce = (await median(() => Promise.all(hundred(() => shop.contacts.get(contact.id))), 50)) / 100;
const codec = await median(() => JSON.parse(JSON.stringify(contact)));
await crm.close();

console.table(
  Object.fromEntries(
    Object.entries(rust).map(([operation, { direct, submitted }]) => [
      operation,
      {
        "Rust, same thread": direct.toFixed(1),
        "Rust, submitted": submitted.toFixed(1),
        "Node promise": node[operation].toFixed(1),
        "Node over Rust": (node[operation] - direct).toFixed(1),
      },
    ]),
  ),
);
console.log(`contacts.get, 100 at once: ${atOnce.toFixed(1)} µs each`);
console.log(`codec, a contact of ${Object.keys(contact).length} fields to JSON and back: ${codec.toFixed(1)} µs`);
const { whileMade, afterwards } = await events();
console.log(
  `${EVENTS} events to one handler, each once and in order: ${whileMade.toFixed(0)} a second while they are made, ` +
    `${afterwards.toFixed(0)} when all are there`,
);
