// An HTTP/2 client for the interop tests of tunnels, and of what concerns the connection more than a stream. One
// argument, JSON:
//   {authority, cafile, settings, customSettings: [ids to look at], tunnels: [{headers, writes, end, abort}],
//    moreSettings: [settings], pings: [payloads], resets: [{path, code}], goaway: [code, data]}
// All that is given is done in that order. In a tunnel each of `writes` is answered (by as many bytes) before the next;
// then our side is ended, or the stream reset with the code `abort`. Prints one line of JSON:
//   {remoteSettings, tunnels: [{status, headers, text, rstCode, error}], acknowledged: [initialWindowSize after each],
//    pings, resets, goaways, error}
'use strict';

const fs = require('fs');
const http2 = require('http2');

const job = JSON.parse(process.argv[2]);
const result = { remoteSettings: null, tunnels: [], acknowledged: [], pings: [], resets: [], goaways: [], error: null };

async function tunnel(session, { headers, writes, end, abort }) {
  const stream = session.request(headers, { endStream: false });
  const outcome = { status: null, headers: null, text: '', rstCode: null, error: null };
  let arrived = () => {};
  stream.setEncoding('latin1');
  stream.on('response', (received) => { outcome.status = received[':status']; outcome.headers = { ...received }; arrived(); });
  stream.on('data', (text) => { outcome.text += text; arrived(); });
  stream.on('error', (error) => { outcome.error = error.code; });
  const closed = new Promise((resolve) => stream.on('close', () => { arrived(); resolve(); }));
  const until = async (condition) => {
    while (!condition() && !stream.closed) await new Promise((resolve) => { arrived = resolve; });
  };

  await until(() => outcome.status);
  let sent = 0;
  for (const text of writes || []) {
    stream.write(text);
    sent += text.length;
    await until(() => outcome.text.length >= sent);
  }
  if (abort !== undefined) stream.close(abort);
  else if (end !== undefined) stream.end(end);
  await closed;
  outcome.rstCode = stream.rstCode;
  return outcome;
}

function reset(session, { path, code }) {
  const stream = session.request({ ':method': 'POST', ':path': path });
  stream.on('error', () => {});
  stream.on('response', () => stream.close(code));
  return new Promise((resolve) => stream.on('close', () => resolve(stream.rstCode)));
}

async function run() {
  const session = http2.connect(job.authority, {
    ca: job.cafile && fs.readFileSync(job.cafile),
    settings: job.settings,
    remoteCustomSettings: job.customSettings,
  });
  session.on('goaway', (code, lastStreamID, data) => {
    result.goaways.push({ code, lastStreamID, data: data ? Buffer.from(data).toString() : '' });
  });
  session.on('error', (error) => { result.error = error.code || error.message; });
  const closed = new Promise((resolve) => session.on('close', resolve));
  await Promise.race([new Promise((resolve) => session.once('remoteSettings', resolve)), closed]);
  if (session.destroyed) return;
  result.remoteSettings = session.remoteSettings;

  for (const description of job.tunnels || []) result.tunnels.push(await tunnel(session, description));
  await Promise.all((job.moreSettings || []).map((values) => new Promise((resolve) => {
    session.settings(values, () => {
      result.acknowledged.push(session.localSettings.initialWindowSize);
      resolve();
    });
  })));
  await Promise.all((job.pings || []).map((payload) => new Promise((resolve) => {
    session.ping(Buffer.from(payload), (error, milliseconds, answer) => {
      result.pings.push(error ? error.code : answer.toString());
      resolve();
    });
  })));
  for (const description of job.resets || []) result.resets.push(await reset(session, description));
  if (job.goaway) session.goaway(job.goaway[0], 0, Buffer.from(job.goaway[1]));
  session.close();
  await closed;
}

run().then(() => console.log(JSON.stringify(result)));
