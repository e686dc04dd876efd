// The official SDKs as four callers that do the same things: what each says, and what its typed objects hold of the answer.
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { ApiError, FinishReason, GoogleGenAI, ThinkingLevel } from '@google/genai';
import type { Content, GenerateContentResponse, Part } from '@google/genai';
import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { anthropic, GATEWAY, KEY, openai } from './gateway.ts';

/** The form that the JSON schema scenarios ask for. */
export const Forecast = z.object({
  city: z.string(),
  sky: z.enum(['clear', 'cloudy']),
  days: z.array(z.object({ day: z.string(), celsius: z.number() })),
});

export type Tool = { name: string; description: string; parameters: Record<string, unknown> };
export type Attachment = { media: string; name: string; data: string };
export type Call = { id: string | undefined; name: string; arguments: unknown };
export type Result = { id: string | undefined; name: string; text: string };

/** What a conversation is held with. */
export type Task = {
  model: string;
  streamed: boolean;
  system?: string;
  tools: Tool[];
  form: boolean;
  thinking: boolean;
  most: number;
};

/** What an answer's typed objects say. Input includes what was cached, output what was thought. */
export type Heard = {
  id: string | undefined;
  text: string;
  finish: string | undefined;
  usage: { input: number; output: number; cached: number; thought: number };
  calls: Call[];
  thoughts: string;
  value: unknown;
  pieces: number;
};

type ErrorClass = abstract new (...parts: never[]) => Error;

export interface Conversation {
  say(text: string, attachment?: Attachment): Promise<Heard>;
  answer(results: Result[]): Promise<Heard>;
}

export type Caller = {
  name: string;
  showsThoughtsOf: string[];
  error: ErrorClass;
  errors: Record<number, ErrorClass>;
  start(task: Task): Conversation;
};

const isImage = (attachment: Attachment) => attachment.media.startsWith('image/');
const dataUrl = (attachment: Attachment) => `data:${attachment.media};base64,${attachment.data}`;

class Chat implements Conversation {
  private messages: OpenAI.ChatCompletionMessageParam[] = [];

  private task: Task;

  constructor(task: Task) {
    this.task = task;
    if (task.system) this.messages.push({ role: 'system', content: task.system });
  }

  say(text: string, attachment?: Attachment) {
    const content: OpenAI.ChatCompletionContentPart[] = [{ type: 'text', text }];
    if (attachment) {
      content.push(
        isImage(attachment)
          ? { type: 'image_url', image_url: { url: dataUrl(attachment) } }
          : { type: 'file', file: { filename: attachment.name, file_data: dataUrl(attachment) } },
      );
    }
    this.messages.push({ role: 'user', content });
    return this.ask();
  }

  answer(results: Result[]) {
    for (const { id, text } of results) this.messages.push({ role: 'tool', tool_call_id: id!, content: text });
    return this.ask();
  }

  private async ask(): Promise<Heard> {
    const { task } = this;
    const params = {
      model: task.model,
      messages: this.messages,
      max_completion_tokens: task.most,
      ...(task.tools.length > 0 && { tools: task.tools.map((tool) => ({ type: 'function' as const, function: tool })) }),
      ...(task.thinking && { reasoning_effort: 'medium' as const }),
      ...(task.form && { response_format: zodResponseFormat(Forecast, 'forecast') }),
    };
    let pieces = 0;
    let completion;
    if (task.streamed) {
      const stream = openai().chat.completions.stream({ ...params, stream_options: { include_usage: true } });
      stream.on('content.delta', () => (pieces += 1));
      completion = await stream.finalChatCompletion();
    } else {
      const { completions } = openai().chat;
      completion = await (task.form ? completions.parse(params) : completions.create(params));
    }
    const { message, finish_reason } = completion.choices[0];
    // What the parsing helpers add is no part of a request.
    const { parsed, ...said } = message as typeof message & { parsed?: unknown };
    this.messages.push({
      ...said,
      ...(said.tool_calls && {
        tool_calls: said.tool_calls.map(({ id, type, function: called }) => ({
          id,
          type,
          function: { name: called.name, arguments: called.arguments },
        })),
      }),
    });
    const usage = completion.usage!;
    assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
    return {
      id: completion.id,
      text: message.content ?? '',
      finish: { stop: 'stop', tool_calls: 'calls', length: 'length', content_filter: 'filter' }[finish_reason as string],
      usage: {
        input: usage.prompt_tokens,
        output: usage.completion_tokens,
        cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
        thought: usage.completion_tokens_details?.reasoning_tokens ?? 0,
      },
      calls: (message.tool_calls ?? []).map((call) => ({
        id: call.id,
        name: call.function.name,
        arguments: JSON.parse(call.function.arguments),
      })),
      thoughts: (message as { reasoning_content?: string }).reasoning_content ?? '',
      value: parsed,
      pieces,
    };
  }
}

class Responses implements Conversation {
  private input: OpenAI.Responses.ResponseInputItem[] = [];

  private task: Task;

  constructor(task: Task) {
    this.task = task;
  }

  say(text: string, attachment?: Attachment) {
    const content: OpenAI.Responses.ResponseInputContent[] = [{ type: 'input_text', text }];
    if (attachment) {
      content.push(
        isImage(attachment)
          ? { type: 'input_image', image_url: dataUrl(attachment), detail: 'auto' }
          : { type: 'input_file', filename: attachment.name, file_data: dataUrl(attachment) },
      );
    }
    this.input.push({ role: 'user', content });
    return this.ask();
  }

  answer(results: Result[]) {
    for (const { id, text } of results) this.input.push({ type: 'function_call_output', call_id: id!, output: text });
    return this.ask();
  }

  private async ask(): Promise<Heard> {
    const { task } = this;
    const params = {
      model: task.model,
      input: this.input,
      store: false,
      max_output_tokens: task.most,
      ...(task.system && { instructions: task.system }),
      ...(task.tools.length > 0 && {
        tools: task.tools.map((tool) => ({ type: 'function' as const, strict: false, ...tool })),
      }),
      ...(task.thinking && {
        reasoning: { effort: 'medium' as const, summary: 'auto' as const },
        include: ['reasoning.encrypted_content' as const],
      }),
      ...(task.form && { text: { format: zodTextFormat(Forecast, 'forecast') } }),
    };
    let pieces = 0;
    let response;
    if (task.streamed) {
      const stream = openai().responses.stream(params);
      stream.on('response.output_text.delta', () => (pieces += 1));
      response = await stream.finalResponse();
    } else {
      const { responses } = openai();
      response = await (task.form ? responses.parse(params) : responses.create(params));
    }
    const calls: Call[] = [];
    let thoughts = '';
    for (const item of response.output) {
      if (item.type === 'function_call') {
        const { parsed_arguments, ...said } = item as typeof item & { parsed_arguments?: unknown };
        this.input.push(said);
        calls.push({ id: item.call_id, name: item.name, arguments: JSON.parse(item.arguments) });
      } else {
        if (item.type === 'reasoning') thoughts += item.summary.map((part) => part.text).join('');
        this.input.push(item as OpenAI.Responses.ResponseInputItem);
      }
    }
    const usage = response.usage!;
    assert.equal(usage.total_tokens, usage.input_tokens + usage.output_tokens);
    assert.equal(usage.input_tokens_details.cache_write_tokens, 0);
    const cut: Record<string, string> = { max_output_tokens: 'length', content_filter: 'filter' };
    return {
      id: response.id,
      text: response.output_text,
      finish:
        response.status === 'completed' ? (calls.length > 0 ? 'calls' : 'stop') : cut[response.incomplete_details!.reason!],
      usage: {
        input: usage.input_tokens,
        output: usage.output_tokens,
        cached: usage.input_tokens_details.cached_tokens,
        thought: usage.output_tokens_details.reasoning_tokens,
      },
      calls,
      thoughts,
      value: (response as { output_parsed?: unknown }).output_parsed,
      pieces,
    };
  }
}

class Messages implements Conversation {
  private messages: Anthropic.MessageParam[] = [];

  private task: Task;

  constructor(task: Task) {
    this.task = task;
  }

  say(text: string, attachment?: Attachment) {
    const content: Anthropic.ContentBlockParam[] = [{ type: 'text', text }];
    if (attachment) {
      const { data } = attachment;
      content.push(
        isImage(attachment)
          ? { type: 'image', source: { type: 'base64', media_type: 'image/png', data } }
          : { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data } },
      );
    }
    this.messages.push({ role: 'user', content });
    return this.ask();
  }

  answer(results: Result[]) {
    this.messages.push({
      role: 'user',
      content: results.map(({ id, text }) => ({ type: 'tool_result' as const, tool_use_id: id!, content: text })),
    });
    return this.ask();
  }

  private async ask(): Promise<Heard> {
    const { task } = this;
    const params = {
      model: task.model,
      messages: this.messages,
      max_tokens: task.most,
      ...(task.system && { system: task.system }),
      ...(task.tools.length > 0 && {
        tools: task.tools.map(({ name, description, parameters }) => ({
          name,
          description,
          input_schema: parameters as Anthropic.Tool.InputSchema,
        })),
      }),
      ...(task.thinking && { thinking: { type: 'enabled' as const, budget_tokens: 2048 } }),
      ...(task.form && { output_config: { format: zodOutputFormat(Forecast) } }),
    };
    let pieces = 0;
    let message;
    if (task.streamed) {
      const stream = anthropic().messages.stream(params);
      stream.on('text', () => (pieces += 1));
      message = await stream.finalMessage();
    } else {
      message = await anthropic().messages.parse(params);
    }
    this.messages.push({ role: 'assistant', content: message.content.map(said) });
    const { usage } = message;
    const cached = usage.cache_read_input_tokens ?? 0;
    const finishes: Record<string, string> = { end_turn: 'stop', tool_use: 'calls', max_tokens: 'length', refusal: 'filter' };
    return {
      id: message.id,
      text: message.content.map((block) => (block.type === 'text' ? block.text : '')).join(''),
      finish: finishes[message.stop_reason!],
      usage: {
        input: usage.input_tokens + cached + (usage.cache_creation_input_tokens ?? 0),
        output: usage.output_tokens,
        cached,
        thought: usage.output_tokens_details?.thinking_tokens ?? 0,
      },
      calls: message.content.flatMap((block) =>
        block.type === 'tool_use' ? [{ id: block.id, name: block.name, arguments: block.input }] : [],
      ),
      thoughts: message.content.map((block) => (block.type === 'thinking' ? block.thinking : '')).join(''),
      value: message.parsed_output,
      pieces,
    };
  }
}

/** A block as it is sent back: without what the parsing helper adds. */
function said(block: Anthropic.ContentBlock): Anthropic.ContentBlockParam {
  const { parsed_output, parsed, ...rest } = block as Anthropic.ContentBlock & { parsed_output?: unknown; parsed?: unknown };
  return rest as Anthropic.ContentBlockParam;
}

class Google implements Conversation {
  private ai = new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: GATEWAY } });
  private contents: Content[] = [];

  private task: Task;

  constructor(task: Task) {
    this.task = task;
  }

  say(text: string, attachment?: Attachment) {
    const parts: Part[] = [{ text }];
    if (attachment) parts.push({ inlineData: { mimeType: attachment.media, data: attachment.data } });
    return this.ask(parts);
  }

  answer(results: Result[]) {
    return this.ask(results.map(({ id, name, text }) => ({ functionResponse: { id, name, response: { output: text } } })));
  }

  private async ask(parts: Part[]): Promise<Heard> {
    const { task } = this;
    this.contents.push({ role: 'user', parts });
    const params = {
      model: task.model,
      contents: this.contents,
      config: {
        maxOutputTokens: task.most,
        ...(task.system && { systemInstruction: task.system }),
        ...(task.tools.length > 0 && {
          tools: [
            {
              functionDeclarations: task.tools.map(({ name, description, parameters }) => ({
                name,
                description,
                parametersJsonSchema: parameters,
              })),
            },
          ],
        }),
        ...(task.thinking && { thinkingConfig: { includeThoughts: true, thinkingLevel: ThinkingLevel.HIGH } }),
        ...(task.form && { responseMimeType: 'application/json', responseJsonSchema: z.toJSONSchema(Forecast) }),
      },
    };
    const answers: GenerateContentResponse[] = [];
    if (task.streamed) {
      for await (const piece of await this.ai.models.generateContentStream(params)) answers.push(piece);
    } else {
      answers.push(await this.ai.models.generateContent(params));
    }
    const heard = answers.flatMap((answer) => answer.candidates?.[0]?.content?.parts ?? []);
    this.contents.push({ role: 'model', parts: heard });
    const last = answers.at(-1)!;
    const calls = heard.flatMap(({ functionCall: call }) => (call ? [{ id: call.id, name: call.name!, arguments: call.args }] : []));
    const texts = heard.filter((part) => part.text && !part.thought).map((part) => part.text!);
    const finish = new Map([
      [FinishReason.STOP, calls.length > 0 ? 'calls' : 'stop'],
      [FinishReason.MAX_TOKENS, 'length'],
      [FinishReason.SAFETY, 'filter'],
    ]).get(last.candidates![0].finishReason!);
    const usage = last.usageMetadata!;
    const thought = usage.thoughtsTokenCount ?? 0;
    const output = (usage.candidatesTokenCount ?? 0) + thought;
    assert.equal(usage.totalTokenCount, usage.promptTokenCount! + output);
    return {
      id: last.responseId,
      text: texts.join(''),
      finish,
      usage: { input: usage.promptTokenCount!, output, cached: usage.cachedContentTokenCount ?? 0, thought },
      calls,
      thoughts: heard.map((part) => (part.thought ? (part.text ?? '') : '')).join(''),
      value: task.form ? Forecast.parse(JSON.parse(texts.join(''))) : undefined,
      pieces: task.streamed ? texts.length : 0,
    };
  }
}

const openaiErrors = {
  400: OpenAI.BadRequestError,
  404: OpenAI.NotFoundError,
  429: OpenAI.RateLimitError,
  500: OpenAI.InternalServerError,
};
const anthropicErrors = {
  400: Anthropic.BadRequestError,
  404: Anthropic.NotFoundError,
  429: Anthropic.RateLimitError,
  500: Anthropic.InternalServerError,
};
const everyFamily = ['openai', 'anthropic', 'gemini'];

export const CALLERS: Caller[] = [
  {
    name: 'openai chat',
    // Chat completions has no place for its own models' thoughts.
    showsThoughtsOf: ['anthropic', 'gemini'],
    error: OpenAI.APIError,
    errors: openaiErrors,
    start: (task) => new Chat(task),
  },
  {
    name: 'openai Responses',
    showsThoughtsOf: everyFamily,
    error: OpenAI.APIError,
    errors: openaiErrors,
    start: (task) => new Responses(task),
  },
  {
    name: 'anthropic',
    showsThoughtsOf: everyFamily,
    error: Anthropic.APIError,
    errors: anthropicErrors,
    start: (task) => new Messages(task),
  },
  {
    name: 'google',
    showsThoughtsOf: everyFamily,
    error: Error,
    errors: { 400: ApiError, 404: ApiError, 429: ApiError, 500: ApiError },
    start: (task) => new Google(task),
  },
];
