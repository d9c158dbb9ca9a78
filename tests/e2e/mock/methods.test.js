// Whether the table of `methods.js` names every method of supabase-js, and a test that calls it.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { createClient } from "@supabase/supabase-js";

import { NoWebSocket } from "../../../clients/js/test/harness.js";
import { METHODS } from "./methods.js";

// The members of a client that the types of the library do not declare public, and the options of the
// application.
const PRIVATE = [
  "client", "constructor", "experimental", "fetch", "headers", "initializePromise", "jwks", "logger",
  "memoryStorage", "pendingInLock", "stateChangeEmitters", "storage",
];

const isPublic = (name) => !name.startsWith("_") && !PRIVATE.includes(name);

// The names of an object's members, with those of its classes.
function namesOf(object) {
  if (object === Object.prototype) return [];
  return [...Object.getOwnPropertyNames(object), ...namesOf(Object.getPrototypeOf(object))];
}

// The public methods of an object and of the objects in it, by the path to them.
function methodsOf(object, path) {
  const names = [...new Set(namesOf(object))].filter(isPublic);
  const methods = names.filter((name) => typeof object[name] === "function").sort();
  const parts = names.filter((name) => typeof object[name] === "object" && object[name] !== null);
  const inParts = parts.map((name) => methodsOf(object[name], `${path}.${name}`));
  return Object.assign({ [path]: methods }, ...inParts);
}

// The source of each test of this directory by its file and its title, with the placeholders of a title.
function testSources() {
  const directory = new URL(".", import.meta.url);
  const files = readdirSync(directory).filter((name) => name.endsWith(".test.js"));
  return new Map(files.flatMap((file) => {
    const source = readFileSync(new URL(file, directory), "utf8");
    const [, ...tests] = source.split(/^ *test\((?=["`])/m);
    return tests.map((text) => [`${file}: ${text.match(/^(["`])(.*?)\1/)[2]}`, text]);
  }));
}

test("the table names exactly the public methods of supabase.auth", () => {
  const realtime = { transport: NoWebSocket };
  const { auth } = createClient("http://127.0.0.1:1", "any", { realtime });

  const methods = methodsOf(auth, "auth");

  const table = Object.entries(METHODS).map(([path, rows]) => [path, Object.keys(rows).sort()]);
  assert.deepEqual(Object.fromEntries(table), methods);
});

test("each method of the table is called in the test that proves it", () => {
  const sources = testSources();
  for (const [path, rows] of Object.entries(METHODS)) {
    for (const [name, proof] of Object.entries(rows)) {
      if (proof.reason) continue;
      const source = sources.get(proof);
      assert.ok(source, `${path}.${name}: there is no test "${proof}"`);
      const isCalled = source.includes(`.${name}(`) || source.includes(`"${name}"`);
      assert.ok(isCalled, `${path}.${name}: it is not called in "${proof}"`);
    }
  }
});
