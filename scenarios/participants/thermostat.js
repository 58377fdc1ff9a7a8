// A thermostat that takes part in a run as a program of its own, in JavaScript (node, no packages).
// It speaks the protocol itself, over a Unix socket or TCP; `thermostat.py` says what it does.
"use strict";
const net = require("node:net");

const THINKING = 3_000_000; // ns
const env = process.env;
const [transport, host, port] = env.SIMCORE_ADDRESS.split(":"); // of a Unix socket: its path
const socket = transport === "unix" ? net.connect(host) : net.connect(port, host);
socket.setNoDelay(true);
const send = (frame) => socket.write(JSON.stringify(frame) + "\n");

let config, period, report; // report: when the next status is due
let on = false, readings = 0;

function answer(message, now) {
  const { celsius } = message.payload;
  if (celsius < config.low) on = true;
  else if (celsius > config.high) on = false;
  readings += 1;
  const output = { at: now + THINKING, dst: message.src, kind: "heat", payload: { on } };
  return { ...output, cause: message.id, spent: [0, THINKING] };
}

function advance({ seq, until, inputs }) {
  const outputs = [], measures = [];
  for (const message of inputs)
    if (message.kind === "reading") outputs.push(answer(message, until));
  if (until === report) {
    report += period;
    measures.push({ at: until, name: "heating", value: on });
    outputs.push({ at: until, dst: config.panel, kind: "status", payload: { on, readings } });
  }
  send({ type: "DONE", seq, now: until, next: report, outputs, measures });
}

function handle(frame) {
  if (frame.type === "INIT") {
    config = frame.config;
    period = config.period_ms * 1_000_000;
    report = frame.time + period;
    send({ type: "READY", kind: "reactive", next: report });
  } else if (frame.type === "ADVANCE") {
    advance(frame);
  } else if (frame.type === "SHUTDOWN") {
    socket.end('{"type":"BYE"}\n', () => process.exit(0));
  } else {
    console.error(frame.message); // ERROR
    process.exit(1);
  }
}

let parts = []; // of a line that has not come to its end
socket.setEncoding("utf8"); // a character may be cut in two: the decoder waits for the rest
socket.on("data", (text) => {
  const lines = text.split("\n");
  parts.push(lines[0]);
  for (const next of lines.slice(1)) {
    handle(JSON.parse(parts.join("")));
    parts = [next];
  }
});
process.exitCode = 1; // of an end that nobody asked for
send({ type: "HELLO", protocol: 1, token: env.SIMCORE_TOKEN, name: env.SIMCORE_NAME });
