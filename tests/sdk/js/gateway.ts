// What both suites share: the gateway that scripts/test-sdks started, and prompts that the sandbox understands.
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

export function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run scripts/test-sdks`);
  return value;
}

export const GATEWAY = setting('LLM_GATEWAY_TEST_URL');
export const KEY = setting('LLM_GATEWAY_TEST_KEY');
export const UNKNOWN_KEY = 'phx_nobody_was_ever_given_this_key';

export const OPENAI_MODEL = 'gpt-4.1-mini';
export const ANTHROPIC_MODEL = 'claude-sonnet-4-6';

// docs/sandbox.md
export const SAY_HELLO = '[[sandbox:say=Hello from the sandbox]]';
export const HELLO = 'Hello from the sandbox';
export const RATE_LIMITED = '[[sandbox:error=429]]';
export const CUT = '[[sandbox:words=40]][[sandbox:cut]]';

export const WEATHER_SCHEMA = {
  type: 'object' as const,
  properties: { city: { type: 'string' } },
  required: ['city'],
};

export function openai(product = '', apiKey = KEY): OpenAI {
  return new OpenAI({ baseURL: `${GATEWAY}${product}/v1`, apiKey, maxRetries: 0 });
}

export function anthropic(product = '', apiKey = KEY): Anthropic {
  return new Anthropic({ baseURL: `${GATEWAY}${product}`, apiKey, maxRetries: 0 });
}

/** The requests with this text that got through to a simulated provider, in their order. */
export async function reached(provider: string, text: string): Promise<{ body: unknown }[]> {
  const address = setting(`LLM_GATEWAY_TEST_${provider.toUpperCase()}`);
  const answer = await fetch(`${address}/sandbox/requests?holds=${encodeURIComponent(text)}`);
  return (await answer.json()).requests;
}

export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = [];
  for await (const item of stream) seen.push(item);
  return seen;
}
