// bull-board over queues on loopback, until stdin is closed.
//
//   node board.js REDIS_URL QUEUE...
//
//   out: {"url": "http://127.0.0.1:PORT"}, once it listens
'use strict';

const { createBullBoard } = require('@bull-board/api');
const { BullMQAdapter } = require('@bull-board/api/bullMQAdapter');
const { ExpressAdapter } = require('@bull-board/express');
const express = require('express');
const { Queue } = require('bullmq');

const [redisUrl, ...names] = process.argv.slice(2);
const { hostname, port } = new URL(redisUrl);
const connection = { host: hostname, port: Number(port) };

const serverAdapter = new ExpressAdapter();
createBullBoard({ queues: names.map(name => new BullMQAdapter(new Queue(name, { connection }))), serverAdapter });

const server = express().use(serverAdapter.getRouter()).listen(0, '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` })}\n`);
});
process.stdin.resume().on('end', () => process.exit(0));
