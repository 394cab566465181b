// A headless Chromium as a server on stdin/stdout: a JSON object a line in, one a line out, one page.
//
//   node browser.js CHROMIUM
//
//   in:  {"id": 1, "method": "goto", "args": [...]}
//   out: {"id": 1, "value": ...} or {"id": 1, "error": "..."}
'use strict';

const readline = require('node:readline');
const { chromium } = require('playwright-core');

const FLAGS = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
const TIMEOUT_MS = 20000;

const opened = open(process.argv[2]);
const complaints = [];

async function open(executablePath) {
  const browser = await chromium.launch({ executablePath, args: FLAGS, chromiumSandbox: false }); // a profile of its own
  const page = await browser.newPage({ viewport: { width: 1600, height: 900 } });
  page.setDefaultTimeout(TIMEOUT_MS);
  page.on('pageerror', error => complaints.push(`${error.name}: ${error.message}`));
  page.on('response', response => {
    if (response.status() >= 400) complaints.push(`${response.status()} ${new URL(response.url()).pathname}`);
  });
  return { browser, page };
}

const methods = {
  goto: (page, url) => page.goto(url).then(() => null),
  text: (page, selector) => page.locator(selector).innerText(),
  texts: (page, selector) => page.locator(selector).allInnerTexts(),
  click: (page, selector) => page.locator(selector).click(),
  see: (page, selector) => page.locator(selector).waitFor(),
  screenshot: (page, path) => page.screenshot({ path, animations: 'disabled' }).then(() => null),
  complaints: () => complaints.splice(0),
};

async function answer({ method, args = [] }) {
  const { page } = await opened;
  return (await methods[method](page, ...args)) ?? null;
}

readline.createInterface({ input: process.stdin }).on('line', async line => {
  const request = JSON.parse(line);
  let reply;
  try {
    reply = { id: request.id, value: await answer(request) };
  } catch (error) {
    reply = { id: request.id, error: error.message };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}).on('close', async () => {
  await (await opened).browser.close();
  process.exit(0);
});
