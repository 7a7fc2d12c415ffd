/**
 * The desk: hears every message that the line has taken in, and answers it. A line of its input is an answer to whoever was heard
 * last. It ends with its input.
 *
 * desk ADDRESS, with the key that both processes share in VENTROS_KEY.
 */

import { createInterface } from "node:readline/promises";
import { type EventFor, open, type types } from "ventros";

const [address = "", key] = [process.argv[2], process.env.VENTROS_KEY];

// Replies are sent by the line, as a program of its own would: no process calls the gateway by itself.
await using crm = await open(address, { encryptionKey: key, http: false });
const acme = await crm.projects.find({ slug: "acme" });
if (acme === null) throw new Error("the line has not been opened yet: start receiver.py first");
const shop = crm.project(acme.id);
let last: types.ChatId | undefined;

// Its place in the log is in the database: what came while no desk was open is heard when one opens.
await shop.subscribe("desk", answer, { events: "message.received", start: "start" });
await shop.on("message.delivered", (event) => console.log(`delivered (#${event.seq})`));
console.log("ready");
for await (const body of createInterface(process.stdin)) {
  if (last !== undefined) await shop.messages.send({ chat_id: last, content: { type: "text", body } });
}

async function answer({ id, seq, aggregate_id, data }: EventFor<"message.received">): Promise<void> {
  const words = data.content.type === "text" ? data.content.body : `[${data.content.type}]`;
  console.log(`heard ${data.sender_name ?? "somebody"}: ${words} (#${seq})`);
  await shop.messages.send({
    chat_id: data.chat_id,
    reply_to_id: aggregate_id,
    content: { type: "text", body: `Recebemos a mensagem nº ${seq}, obrigado!` },
    // An event may come twice, when this process dies before it is done with it. The answer goes out once.
    client_token: `answer-${id}`,
  });
  await shop.chats.markRead(data.chat_id);
  last = data.chat_id;
}
