// The `openai` package: Chat Completions and Responses.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { collect, CUT, HELLO, openai, OPENAI_MODEL, RATE_LIMITED, SAY_HELLO, UNKNOWN_KEY, WEATHER_SCHEMA } from './gateway.ts';

type Messages = OpenAI.ChatCompletionMessageParam[];

const user = (content: string): Messages => [{ role: 'user', content }];
const model = OPENAI_MODEL;
const weather: OpenAI.ChatCompletionTool = {
  type: 'function',
  function: { name: 'get_weather', description: 'The weather in a city', parameters: WEATHER_SCHEMA },
};

test('a completion is returned whole', async () => {
  const completion = await openai().chat.completions.create({ model, messages: user(SAY_HELLO), user: 'someone' });
  assert.equal(completion.choices[0].message.content, HELLO);
  assert.equal(completion.choices[0].finish_reason, 'stop');
  const usage = completion.usage!;
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
});

test('a stream adds up and has no usage unless asked', async () => {
  const chunks = await collect(await openai().chat.completions.create({ model, messages: user(SAY_HELLO), stream: true }));
  assert.equal(chunks.map((chunk) => chunk.choices[0].delta.content ?? '').join(''), HELLO);
  assert.equal(chunks.at(-1)!.choices[0].finish_reason, 'stop');
  assert.ok(chunks.every((chunk) => !chunk.usage));
});

test('a stream that was asked for usage ends with it', async () => {
  const chunks = await collect(
    await openai().chat.completions.create({
      model,
      messages: user('Hello'),
      stream: true,
      stream_options: { include_usage: true },
    }),
  );
  assert.deepEqual(chunks.at(-1)!.choices, []);
  assert.ok(chunks.at(-1)!.usage!.total_tokens > 0);
});

test('a tool loop comes to its end', async () => {
  const messages = user('What is the weather in Paris?');
  const first = await openai().chat.completions.create({ model, messages, tools: [weather] });
  assert.equal(first.choices[0].finish_reason, 'tool_calls');
  messages.push(first.choices[0].message);
  for (const call of first.choices[0].message.tool_calls!) {
    assert.ok(call.type === 'function' && call.function.name === 'get_weather');
    assert.equal(typeof JSON.parse(call.function.arguments).city, 'string');
    messages.push({ role: 'tool', tool_call_id: call.id, content: '18 degrees and sunny' });
  }
  const last = await openai().chat.completions.create({ model, messages, tools: [weather] });
  assert.equal(last.choices[0].finish_reason, 'stop');
  assert.ok(last.choices[0].message.content);
});

test('the streaming helper runs a tool loop by itself', async () => {
  let asked: unknown;
  const runner = openai().chat.completions.runTools({
    model,
    messages: user('What is the weather in Paris?'),
    stream: true,
    tools: [
      {
        type: 'function',
        function: {
          name: 'get_weather',
          description: 'The weather in a city',
          parameters: WEATHER_SCHEMA,
          parse: JSON.parse,
          function: (input: { city: string }) => {
            asked = input.city;
            return '18 degrees and sunny';
          },
        },
      },
    ],
  });
  assert.ok(await runner.finalContent());
  assert.equal(typeof asked, 'string');
});

test('a response is returned whole', async () => {
  const response = await openai().responses.create({ model, input: SAY_HELLO });
  assert.equal(response.status, 'completed');
  assert.equal(response.output_text, HELLO);
});

test('a response is streamed event by event', async () => {
  const events = await collect(await openai().responses.create({ model, input: SAY_HELLO, stream: true }));
  assert.equal(events[0].type, 'response.created');
  assert.equal(events.at(-1)!.type, 'response.completed');
  const text = events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join('');
  assert.equal(text, HELLO);
});

test('models are listed', async () => {
  const listed = (await collect(openai().models.list())).map((listed) => listed.id);
  assert.ok(listed.includes(model));
  assert.ok(listed.some((id) => id.startsWith('claude-')));
});

for (const product of ['/llm_gateway', '/array', '/wizard', '/django']) {
  test(`${product} has a base URL`, async () => {
    const completion = await openai(product).chat.completions.create({ model, messages: user(SAY_HELLO) });
    assert.equal(completion.choices[0].message.content, HELLO);
  });
}

test('an unknown key is an AuthenticationError', async () => {
  await assert.rejects(openai('', UNKNOWN_KEY).chat.completions.create({ model, messages: user('Hello') }), (error) => {
    assert.ok(error instanceof OpenAI.AuthenticationError);
    assert.equal(error.status, 401);
    assert.equal(error.code, 'invalid_api_key');
    return true;
  });
});

test('a model that a product may not use is a PermissionDeniedError', async () => {
  const call = openai('/narrow').chat.completions.create({ model: 'gpt-4o', messages: user('Hello') });
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof OpenAI.PermissionDeniedError);
    assert.equal(error.code, 'model_not_allowed');
    return true;
  });
});

test('an unknown model is a BadRequestError', async () => {
  const call = openai().chat.completions.create({ model: 'no-such-model', messages: user('Hello') });
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.code, 'model_not_found');
    return true;
  });
});

// A model that was rate limited is left alone for a while: this one is in no other test.
test("the provider's rate limit is a RateLimitError", async () => {
  const call = openai().chat.completions.create({ model: 'gpt-5-mini', messages: user(RATE_LIMITED) });
  await assert.rejects(call, OpenAI.RateLimitError);
});

test('a stream that is cut throws instead of ending', async () => {
  const stream = await openai().chat.completions.create({ model, messages: user(CUT), stream: true });
  const seen: OpenAI.ChatCompletionChunk[] = [];
  await assert.rejects(async () => {
    for await (const chunk of stream) seen.push(chunk);
  }, OpenAI.APIError);
  assert.ok(seen.length > 0);
  assert.ok(seen.every((chunk) => chunk.choices.every((choice) => choice.finish_reason === null)));
});
