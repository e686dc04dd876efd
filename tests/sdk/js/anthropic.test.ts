// The `@anthropic-ai/sdk` package: Messages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { anthropic, ANTHROPIC_MODEL, collect, CUT, HELLO, RATE_LIMITED, SAY_HELLO, UNKNOWN_KEY, WEATHER_SCHEMA } from './gateway.ts';

const model = ANTHROPIC_MODEL;
const max_tokens = 256;
const user = (content: string): Anthropic.MessageParam[] => [{ role: 'user', content }];
const weather: Anthropic.Tool = { name: 'get_weather', description: 'The weather in a city', input_schema: WEATHER_SCHEMA };

function text(message: Anthropic.Message): string {
  return message.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
}

test('a message is returned whole', async () => {
  const message = await anthropic().messages.create({
    model,
    max_tokens,
    messages: user(SAY_HELLO),
    metadata: { user_id: 'someone' },
  });
  assert.equal(text(message), HELLO);
  assert.equal(message.stop_reason, 'end_turn');
  assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
});

test('a stream folds to a whole message', async () => {
  const stream = anthropic().messages.stream({ model, max_tokens, messages: user(SAY_HELLO) });
  const pieces: string[] = [];
  stream.on('text', (piece) => pieces.push(piece));
  const message = await stream.finalMessage();
  assert.equal(text(message), HELLO);
  assert.equal(pieces.join(''), HELLO);
  assert.ok(message.usage.output_tokens > 0);
});

test('a tool loop comes to its end', async () => {
  const messages = user('What is the weather in Paris?');
  const first = await anthropic().messages.create({ model, max_tokens, messages, tools: [weather] });
  assert.equal(first.stop_reason, 'tool_use');
  messages.push({ role: 'assistant', content: first.content });
  const results = first.content.flatMap((block) =>
    block.type === 'tool_use'
      ? [{ type: 'tool_result' as const, tool_use_id: block.id, content: '18 degrees and sunny' }]
      : [],
  );
  assert.ok(results.length > 0);
  messages.push({ role: 'user', content: results });
  const last = await anthropic().messages.create({ model, max_tokens, messages, tools: [weather] });
  assert.equal(last.stop_reason, 'end_turn');
  assert.ok(text(last));
});

test('tokens are counted', async () => {
  const count = await anthropic().messages.countTokens({ model, messages: user('Hello, how many tokens am I?') });
  assert.ok(count.input_tokens > 0);
});

test('models are listed', async () => {
  const models = await collect(anthropic().models.list());
  assert.ok(models.some((listed) => listed.id === model));
  assert.ok(models.every((listed) => listed.type === 'model' && listed.display_name));
});

for (const base of ['', '/v1', '/wizard', '/wizard/v1']) {
  test(`the base URL "${base}" works`, async () => {
    assert.equal(text(await anthropic(base).messages.create({ model, max_tokens, messages: user(SAY_HELLO) })), HELLO);
  });
}

test('an unknown key is an AuthenticationError', async () => {
  await assert.rejects(anthropic('', UNKNOWN_KEY).messages.create({ model, max_tokens, messages: user('Hello') }), (error) => {
    assert.ok(error instanceof Anthropic.AuthenticationError);
    assert.equal(error.status, 401);
    return true;
  });
});

test('a model that a product may not use is a PermissionDeniedError', async () => {
  const call = anthropic('/narrow').messages.create({ model, max_tokens, messages: user('Hello') });
  await assert.rejects(call, Anthropic.PermissionDeniedError);
});

test('an unknown model is a BadRequestError', async () => {
  const call = anthropic().messages.create({ model: 'no-such-model', max_tokens, messages: user('Hello') });
  await assert.rejects(call, Anthropic.BadRequestError);
});

// A model that was rate limited is left alone for a while: this one is in no other test.
test("the provider's rate limit is a RateLimitError", async () => {
  const call = anthropic().messages.create({ model: 'claude-opus-4-6', max_tokens, messages: user(RATE_LIMITED) });
  await assert.rejects(call, Anthropic.RateLimitError);
});

test('a stream that is cut throws instead of ending', async () => {
  const stream = await anthropic().messages.create({ model, max_tokens, messages: user(CUT), stream: true });
  const seen: string[] = [];
  await assert.rejects(async () => {
    for await (const event of stream) seen.push(event.type);
  }, Anthropic.APIError);
  assert.equal(seen[0], 'message_start');
  assert.ok(!seen.includes('message_stop'));
});
