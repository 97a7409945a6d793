// A worker in JavaScript, with nothing but what Node 20 and later have built in.
//
// It leases one task at a time, extends the lease while it works, and at SIGTERM gives back what it
// has not done.

import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

const { env } = process;
const server = env.TASK_QUEUE_URL ?? "http://localhost:8080";
const name = env.WORKER_NAME ?? `node-${hostname()}-${process.pid}`;
const leaseSeconds = Number(env.LEASE_SECONDS ?? 30);
const waitSeconds = 20;

const stopping = new AbortController();
process.once("SIGTERM", () => stopping.abort());
process.once("SIGINT", () => stopping.abort());

class Lost extends Error {} // The lease is not held any more, so nothing of the task may be told.

// Returns the answer to a request, which is sent again as it is while the server is away.
async function call(path, body, { wait = 0, signal } = {}) {
  const headers = { "Content-Type": "application/json" };
  if (env.TASK_QUEUE_KEY) headers.Authorization = `Bearer ${env.TASK_QUEUE_KEY}`;
  if (wait) headers.Prefer = `wait=${wait}`;
  let pause = 500;
  for (let tries = 0; tries < 8; tries += 1) {
    const late = AbortSignal.timeout((wait + 15) * 1000);
    try {
      const answer = await fetch(server + path, {
        method: "POST",
        headers,
        body: JSON.stringify(body),
        signal: signal ? AbortSignal.any([signal, late]) : late,
      });
      if (answer.ok) return await answer.json();
      const text = await answer.text();
      if (answer.status === 409) throw new Lost();
      if (![429, 500, 502, 503, 504].includes(answer.status)) throw new TypeError(text);
    } catch (error) {
      const isAway = error.name === "TimeoutError" || error.cause !== undefined;
      if (signal?.aborted || !isAway) throw error;
    }
    await sleep(pause * (0.5 + Math.random() / 2));
    pause = Math.min(2 * pause, 10_000);
  }
  throw new Lost();
}

// The actions: each gets the data, and a signal that says that it need not go on.
const actions = {
  async resize({ width, height, seconds = 0 }, isOver, report) {
    const started = performance.now();
    for (let passed = 0; passed < seconds; passed = (performance.now() - started) / 1000) {
      report(passed / seconds);
      await sleep(Math.min(100, 1000 * (seconds - passed)));
      isOver.throwIfAborted();
    }
    return { area: width * height };
  },
};

async function work({ lease, task }) {
  console.log("doing", task.id);
  const say = (verb, body) => call(`/leases/${lease}/${verb}`, body);
  const over = new AbortController();
  const stop = () => over.abort(stopping.signal.reason);
  stopping.signal.addEventListener("abort", stop);
  if (stopping.signal.aborted) stop();
  let fraction = null;
  const extending = setInterval(async () => {
    const progress = fraction === null ? {} : { progress: { fraction } };
    try {
      const answer = await say("extend", { lease_seconds: leaseSeconds, ...progress });
      if (answer.cancel_requested) over.abort(new Error("not wanted any more"));
    } catch (error) {
      over.abort(error);
    }
  }, (1000 * leaseSeconds) / 3);
  try {
    const result = await actions[task.action](task.data, over.signal, (part) => {
      fraction = part;
    });
    clearInterval(extending);
    await say("ack", { result });
  } catch (error) {
    clearInterval(extending);
    if (error instanceof Lost) throw error;
    if (stopping.signal.aborted) await say("release", {});
    else await say("nack", { error: String(error) });
  } finally {
    clearInterval(extending);
    stopping.signal.removeEventListener("abort", stop);
  }
}

console.log(`${name} works for ${server}`);
while (!stopping.signal.aborted) {
  try {
    const { leases } = await call(
      "/queues/tasks/lease",
      { max: 1, lease_seconds: leaseSeconds, worker: name, actions: Object.keys(actions) },
      { wait: waitSeconds, signal: stopping.signal },
    );
    for (const leased of leases) await work(leased);
  } catch (error) {
    if (stopping.signal.aborted) break;
    if (!(error instanceof Lost)) throw error;
    await sleep(500 + 1000 * Math.random()); // the server is away, or another worker has the task
  }
}
console.log(`${name} stopped`);
