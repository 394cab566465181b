// One real BullMQ client as a server on stdin/stdout: a JSON object a line in, one a line out.
//
//   node driver.js 5.7.0|5.81.5|6
//
//   in:  {"id": 1, "on": "queue", "at": {"host", "port", "queue", "prefix"}, "method": "add", "args": [...]}
//   out: {"id": 1, "value": ...} or {"id": 1, "error": "..."}
//
// `on`: queue, flow, worker, events, job (with "job": its id), or driver for the methods at the end of this file.
// What a worker does with a job is written in the job's data: {"plan": [step, ...]}, one step an attempt, the last one
// again: {"return": value} | {"undefined": true} | {"throw": message, "unrecoverable": bool, "progress": n, "log": line}
'use strict';

const readline = require('node:readline');

const version = process.argv[2];
const bullmq = require(`bullmq-${version}`);
const made = new Map();

function connectionOf(at) {
  return { host: at.host, port: at.port, maxRetriesPerRequest: null, ...(at.connection || {}) };
}

function optionsOf(at) {
  return { connection: connectionOf(at), prefix: at.prefix, ...(at.options || {}) };
}

function once(kind, at, make) {
  const key = JSON.stringify([kind, at.host, at.port, at.queue, at.prefix]);
  if (!made.has(key)) {
    const thing = make();
    thing.on?.('error', () => {}); // servers of tests come and go
    thing.setMaxListeners?.(0); // one for each job that is watched
    made.set(key, thing);
  }
  return made.get(key);
}

const targets = {
  queue: at => once('queue', at, () => new bullmq.Queue(at.queue, optionsOf(at))),
  flow: at => once('flow', at, () => new bullmq.FlowProducer(optionsOf(at))),
  worker: at => once('worker', at, () => new bullmq.Worker(at.queue, process_job, { autorun: false, ...optionsOf(at) })),
  events: at => once('events', at, () => new bullmq.QueueEvents(at.queue, optionsOf(at))),
};

async function process_job(job) {
  const plan = job.data.plan || [{ return: null }];
  const step = plan[Math.min(job.attemptsMade, plan.length - 1)];
  if (step.progress !== undefined) await job.updateProgress(step.progress);
  for (const line of step.log || []) await job.log(line);
  if (step.throw !== undefined) {
    const error = step.unrecoverable ? new bullmq.UnrecoverableError(step.throw) : new Error(step.throw);
    error.stack = `${error.name}: ${error.message}\n    at plan`;
    throw error;
  }
  return step.undefined ? undefined : step.return;
}

// Work until no job is left to be run, then stop. 5.7.0 may wait for ever when a delayed job is due within the
// millisecond; a marker wakes it.
async function work({ at, options }) {
  const queue = targets.queue(at);
  const worker = new bullmq.Worker(at.queue, process_job, {
    ...optionsOf(at),
    drainDelay: 0.2,
    skipStalledCheck: true,
    ...options,
  });
  worker.on('error', () => {});
  let [seen, since] = ['', Date.now()];
  for (;;) {
    const counts = await queue.getJobCounts('wait', 'active', 'delayed', 'prioritized', 'waiting-children');
    if (Object.values(counts).every(count => count === 0)) break;
    if (JSON.stringify(counts) !== seen) [seen, since] = [JSON.stringify(counts), Date.now()];
    if (Date.now() - since > 3000) {
      await (await queue.client).zadd(queue.toKey('marker'), 0, '0');
      since = Date.now();
    }
    await new Promise(resolve => setTimeout(resolve, 3));
  }
  await worker.close();
}

// Claim one job as soon as one is due, run it, finish it without taking the next.
async function work_one({ at }) {
  const worker = new bullmq.Worker(at.queue, null, { ...optionsOf(at), autorun: false });
  worker.on('error', () => {});
  let job;
  while (!job) job = await worker.getNextJob('one', { block: false });
  await job.moveToCompleted(await process_job(job), 'one', false);
  await worker.close();
}

const waits = new Map();
const heard = new Map();

const driver = {
  version: () => bullmq.Queue.name && require(`bullmq-${version}/package.json`).version,
  work,
  work_one,
  // Listen before a job ends; ask later how it ended.
  async watch({ at, ids }) {
    const events = targets.events(at);
    await events.waitUntilReady();
    for (const id of ids) {
      const job = await bullmq.Job.fromId(targets.queue(at), id);
      waits.set(id, job.waitUntilFinished(events, 20000).then(value => ({ value }), error => ({ error: error.message })));
    }
  },
  // Keep when each job was seen to complete, by this process's clock, in milliseconds.
  async listen({ at }) {
    const events = targets.events(at);
    events.on('completed', ({ jobId, returnvalue }) => heard.set(jobId, { at: Date.now(), returnvalue }));
    await events.waitUntilReady();
  },
  heard: () => Object.fromEntries(heard),
  async ended({ ids }) {
    const results = {};
    for (const id of ids) results[id] = await waits.get(id);
    return results;
  },
  async next_times({ pattern, options, count }) {
    const home = require.resolve('cron-parser', { paths: [require.resolve(`bullmq-${version}`)] });
    const parser = require(home);
    const parse = parser.parseExpression || parser.CronExpressionParser.parse;
    const times = parse(pattern, { ...options, currentDate: new Date(options.currentDate) });
    return Array.from({ length: count }, () => times.next().getTime());
  },
  // Claims and finishes a second, one after the other or `together` at once.
  async bench({ at, jobs, together }) {
    const worker = new bullmq.Worker(at.queue, null, { ...optionsOf(at), autorun: false, name: 'bench' });
    const claimed = [];
    const spread = async step => {
      const began = process.hrtime.bigint();
      let left = jobs;
      const line = async () => {
        while (left-- > 0) await step();
      };
      await Promise.all(Array.from({ length: together }, line));
      return jobs / (Number(process.hrtime.bigint() - began) / 1e9);
    };
    const claims = await spread(async () => claimed.push(await worker.getNextJob(`t${claimed.length}`, { block: false })));
    const finishes = await spread(async () => {
      const job = claimed.pop();
      await job.moveToCompleted('ok', job.token, false);
    });
    await worker.close();
    return { claims, finishes };
  },
  async forget({ at }) {
    for (const [key, thing] of made) {
      const [, host, port] = JSON.parse(key);
      if (host === at.host && port === at.port) {
        made.delete(key);
        await Promise.resolve(thing.close()).catch(() => {});
      }
    }
  },
};

function plain(value) {
  if (value instanceof bullmq.Job) return { id: value.id, name: value.name };
  if (Array.isArray(value)) return value.map(plain);
  if (value && value.job instanceof bullmq.Job) return { job: plain(value.job), children: plain(value.children || []) };
  return value === undefined ? null : value;
}

async function answer({ on, at, method, args = [], job }) {
  if (on === 'driver') return driver[method](...args);
  if (on === 'job') return (await bullmq.Job.fromId(targets.queue(at), job))[method](...args);
  return targets[on](at)[method](...args);
}

readline.createInterface({ input: process.stdin }).on('line', async line => {
  const request = JSON.parse(line);
  let reply;
  try {
    reply = { id: request.id, value: plain(await answer(request)) };
  } catch (error) {
    reply = { id: request.id, error: error.message };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}).on('close', () => process.exit(0));
