// Every SDK holds every conversation of scenarios.json with a model of every family, and the provider gets what it should.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CALLERS } from './callers.ts';
import type { Attachment, Call, Caller, Conversation, Heard, Task, Tool } from './callers.ts';
import { reached, setting } from './gateway.ts';

type Hears = {
  finish: string;
  text?: string;
  mentions?: string[];
  words?: number;
  pieces?: number;
  cached?: number;
  thinks?: string[];
  calls?: { name: string; arguments: unknown }[];
  value?: unknown;
};
type Turn = { say?: string; attach?: string; results?: boolean; hears?: Hears; fails?: { status?: number } };
type Scenario = {
  name: string;
  turns: Turn[];
  streamed?: boolean;
  system?: string;
  tools?: boolean;
  schema?: boolean;
  thinking?: boolean;
  faulty?: boolean;
  most?: number;
  reaches?: string[];
  seals?: Record<string, number>;
};
type Shared = {
  families: Record<string, { model: string; thinker: string; faulty: string }>;
  tools: Tool[];
  results: Record<string, string>;
  attachments: Record<string, Attachment>;
  scenarios: Scenario[];
};

const shared: Shared = JSON.parse(readFileSync(setting('LLM_GATEWAY_SCENARIOS'), 'utf8'));
// What only its maker reads, as a simulated provider made it: base64 of "sandbox1…".
const SEAL = /"(?:signature|encrypted_content|thoughtSignature|data)": ?"c2FuZGJveD[^"]*"/g;

function task(scenario: Scenario, family: string, mark: string): Task {
  const models = shared.families[family];
  let model = scenario.thinking ? models.thinker : models.model;
  // A model that was rate limited is left alone for a while: this one is nobody else's.
  if (scenario.faulty) model = `${models.faulty}-${mark}`;
  return {
    model,
    streamed: scenario.streamed ?? false,
    system: scenario.system,
    tools: scenario.tools ? shared.tools : [],
    form: scenario.schema ?? false,
    thinking: scenario.thinking ?? false,
    most: scenario.most ?? 8192,
  };
}

function speak(conversation: Conversation, turn: Turn, calls: Call[], mark: string): Promise<Heard> {
  if (turn.results) return conversation.answer(calls.map(({ id, name }) => ({ id, name, text: shared.results[name] })));
  return conversation.say(`${turn.say} (${mark})`, turn.attach ? shared.attachments[turn.attach] : undefined);
}

function check(heard: Heard, hears: Hears, family: string, showsThoughts: boolean) {
  assert.ok(heard.id);
  assert.equal(heard.finish, hears.finish);
  if (hears.text !== undefined) assert.equal(heard.text, hears.text);
  for (const mention of hears.mentions ?? []) assert.ok(heard.text.includes(mention), heard.text);
  if (hears.words) {
    assert.equal(heard.text, Array.from({ length: hears.words }, (_, index) => `word${index + 1}`).join(' '));
  }
  assert.deepEqual(
    heard.calls.map((call) => ({ name: call.name, arguments: call.arguments })),
    hears.calls ?? [],
  );
  // Gemini's own calls may have no ids.
  const ids = heard.calls.flatMap((call) => (call.id === undefined ? [] : [call.id]));
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.match(id, /^[A-Za-z0-9_-]{1,40}$/);
  if (hears.value) assert.deepEqual(heard.value, hears.value);
  assert.ok(heard.pieces >= (hears.pieces ?? 0), `${heard.pieces} pieces`);
  const { input, output, cached, thought } = heard.usage;
  assert.ok(input > 0 && output > 0);
  if (hears.cached !== undefined) assert.equal(cached, hears.cached);
  if (hears.thinks) {
    const thinks = hears.thinks.includes(family);
    assert.equal(heard.thoughts !== '', thinks && showsThoughts);
    assert.equal(thought > 0 && thought < output, thinks);
  }
}

async function converse(caller: Caller, family: string, scenario: Scenario) {
  const mark = randomUUID().replaceAll('-', '');
  const conversation = caller.start(task(scenario, family, mark));
  let calls: Call[] = [];
  for (const turn of scenario.turns) {
    if (turn.fails) {
      const { status } = turn.fails;
      await assert.rejects(speak(conversation, turn, calls, mark), (error: Error & { status?: number }) => {
        assert.ok(error instanceof (status ? caller.errors[status] : caller.error), String(error));
        if (status) assert.equal(error.status, status);
        return true;
      });
      return;
    }
    const heard = await speak(conversation, turn, calls, mark);
    check(heard, turn.hears!, family, caller.showsThoughtsOf.includes(family));
    calls = heard.calls;
  }
  const requests = await reached(family, mark);
  assert.equal(requests.length, scenario.turns.length);
  const last = JSON.stringify(requests.at(-1)!.body);
  for (const text of scenario.reaches ?? []) assert.ok(last.includes(text), last);
  if (caller.showsThoughtsOf.includes(family)) assert.equal((last.match(SEAL) ?? []).length, scenario.seals?.[family] ?? 0);
}

for (const caller of CALLERS) {
  for (const family of Object.keys(shared.families)) {
    for (const scenario of shared.scenarios) {
      test(`${caller.name} | ${family} | ${scenario.name}`, () => converse(caller, family, scenario));
    }
  }
}
