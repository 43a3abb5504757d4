// The benchmarks' client with Node's http2: see client_job.py. In place of 8 threads it has 8 requests under way.
'use strict';

const fs = require('fs');
const http2 = require('http2');

const AT_ONCE = 8;
const job = JSON.parse(process.argv[2]);
const session = http2.connect(job.url, job.cafile ? { ca: fs.readFileSync(job.cafile) } : {});

function request() {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': job.path });
    let size = 0;
    stream.on('data', (chunk) => { size += chunk.length; });
    stream.on('end', () => (size === job.size ? resolve() : reject(new Error(`${size} bytes`))));
    stream.on('error', reject);
    stream.end();
  });
}

async function main() {
  await request();
  const started = performance.now();
  const before = process.cpuUsage();
  let left = job.requests;
  const runs = Array.from({ length: job.mode === 'threads' ? AT_ONCE : 1 }, async () => {
    while (left-- > 0) await request();
  });
  await Promise.all(runs);
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ seconds, cpu_seconds: (user + system) / 1e6 }));
  session.close();
}

main();
