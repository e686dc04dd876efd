// The README's own TypeScript example, run as it is written there but for the gateway's address.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { GATEWAY } from './gateway.ts';

const ADDRESS = 'http://localhost:8080';

test('the TypeScript example prints an answer', async () => {
  const readme = await readFile(process.env.LLM_GATEWAY_README!, 'utf8');
  const examples = [...readme.matchAll(/```typescript\n(.*?)```/gs)].map((found) => found[1]);
  assert.equal(examples.length, 1);
  assert.ok(examples[0].includes(ADDRESS));

  const file = new URL(`./readme-example-${process.pid}.ts`, import.meta.url);
  await writeFile(file, examples[0].replaceAll(ADDRESS, GATEWAY));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [file.pathname]);
    assert.ok(stdout.trim());
  } finally {
    await rm(file);
  }
});
