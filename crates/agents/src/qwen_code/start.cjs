// Loaded before qwen-code. It tries a request that was refused with 429 or a status from 500 on
// seven times, for more than a minute, says nothing of it, and has no setting for either. So each
// refusal is told on stderr, in one line, and the third in a row is the request's end: the pause
// before another try is ours to keep.
"use strict";
const TRIES = 3;
// With what stands before it on a line, less than is kept of one.
const LONGEST = 250;
const ask = globalThis.fetch;
let refused = 0;

const short = (text) => String(text).replace(/\s+/g, " ").trim().slice(0, LONGEST);

// What the provider said, and before it the code by which it means it: the end of a long message
// is cut off.
async function words(answer) {
  const text = await answer.clone().text().catch(() => "");
  try {
    const { message, code, type } = JSON.parse(text).error;
    const meant = code || type;
    const said = short(message);
    return meant && !said.includes(meant) ? short(`${meant}: ${message}`) : said;
  } catch {
    // No JSON, or none that is an error's: as it stands.
    return short(text);
  }
}

globalThis.fetch = async (...request) => {
  const answer = await ask(...request);
  if (answer.status !== 429 && answer.status < 500) {
    refused = 0;
    return answer;
  }
  const told = `${answer.status} ${await words(answer)}`;
  process.stderr.write(`midwatch: refused: ${told}\n`);
  refused += 1;
  if (refused < TRIES) return answer;
  refused = 0;
  throw new Error(told);
};
