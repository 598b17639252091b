// Loaded before gemini-cli. It works unattended only in folders that it trusts, and reads the
// settings, hooks, servers and commands that lie there; they are the repository's, so for this
// one process they do not exist. What the agent runs sees them as ever.
//
// The prompt comes from a file beside this one: on stdin it is given up after half a second,
// which a busy machine needs for less, and arguments of a process are there for all to see.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { fileURLToPath } = require("node:url");

const root = fs.realpathSync(process.cwd());
const hidden = [".gemini", ".agents", ".env"].map((name) => path.join(root, name));

function isHidden(file) {
  if (file instanceof URL) file = fileURLToPath(file);
  if (Buffer.isBuffer(file)) file = file.toString();
  if (typeof file !== "string") return false;
  const full = path.resolve(file);
  return hidden.some((it) => full === it || full.startsWith(it + path.sep));
}

function absent(call, file) {
  const error = new Error(`ENOENT: no such file or directory, ${call} '${file}'`);
  return Object.assign(error, { code: "ENOENT", errno: -2, syscall: call, path: String(file) });
}

for (const name of ["readFile", "readdir", "stat", "lstat", "access", "open", "opendir", "realpath"]) {
  const sync = name + "Sync";
  const [kept, keptSync, promised] = [fs[name], fs[sync], fs.promises[name]];
  fs[name] = (file, ...rest) => {
    if (!isHidden(file)) return kept(file, ...rest);
    process.nextTick(rest[rest.length - 1], absent(name, file));
  };
  fs[sync] = (file, ...rest) => {
    if (!isHidden(file)) return keptSync(file, ...rest);
    if (rest[0] && rest[0].throwIfNoEntry === false) return undefined;
    throw absent(name, file);
  };
  // realpath has a form of its own on it.
  Object.assign(fs[name], kept);
  Object.assign(fs[sync], keptSync);
  if (promised) {
    fs.promises[name] = async (file, ...rest) => {
      if (isHidden(file)) throw absent(name, file);
      return promised(file, ...rest);
    };
  }
}
const { existsSync, createReadStream } = fs;
fs.existsSync = (file) => !isHidden(file) && existsSync(file);
fs.createReadStream = (file, ...rest) => {
  if (isHidden(file)) throw absent("open", file);
  return createReadStream(file, ...rest);
};
require("node:module").syncBuiltinESMExports();

const prompt = path.join(__dirname, "prompt.md");
if (fs.existsSync(prompt)) process.argv.push("--prompt=" + fs.readFileSync(prompt, "utf8"));
