// The official openai SDK for JavaScript, unmodified: Chat Completions and Responses.

import assert from "node:assert/strict";

import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

import { KEY, URL, eventually, raises } from "./checks.mjs";

const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: KEY, maxRetries: 0, timeout: 30_000 });
const HELLO = [
  { role: "developer", content: "Be brief." },
  { role: "user", content: "Hello there" },
];
const WEATHER = [{ role: "user", content: "What is the weather in Paris and Rome?" }];
const PARAMETERS = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const FUNCTION = { name: "get_weather", description: "The weather of a city", parameters: PARAMETERS };
const CITIES = [{ city: "Paris" }, { city: "Rome" }];
const TOLD = /^The tool said 17 C and 21 C\./;
const City = z.object({ city: z.string() });

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

// The errors that every endpoint has in common; `ask` takes a model and a client.
function errors(model, ask) {
  return {
    async "a wrong key"() {
      const error = await raises(() => ask(model, client.withOptions({ apiKey: "sk-wrong" })));
      assert.ok(error instanceof OpenAI.AuthenticationError, error);
      assert.equal(error.code, "invalid_api_key");
    },
    async "an unknown model"() {
      const error = await raises(() => ask("nobody", client));
      assert.ok(error instanceof OpenAI.NotFoundError, error);
      assert.equal(error.code, "model_not_found");
    },
    async "a rate limit says when to retry"() {
      const error = await raises(() => ask(`${model}-limited`, client));
      assert.ok(error instanceof OpenAI.RateLimitError, error);
      const wait = Number(error.headers.get("retry-after"));
      assert.ok(wait >= 34 && wait <= 35, `${wait}`);
    },
  };
}

async function aborted(model) {
  const answer = await client.chat.completions.create({
    model: `${model}-aborted`,
    messages: HELLO,
  });
  return Number.parseInt(answer.choices[0].message.content, 10);
}

// Leaves a stream after its first words; the provider must learn of it.
async function leaves(model, open) {
  const before = await aborted(model);
  const stream = await open(`${model}-slow`);
  let seen = 0;
  for await (const _ of stream) {
    seen += 1;
    if (seen === 3) break;
  }
  stream.controller.abort();
  await eventually(async () => (await aborted(model)) > before);
}

// `thoughts`: what comes of a model's reasoning by Chat Completions.
export function chat(model, thoughts) {
  const tools = [{ type: "function", function: { ...FUNCTION, strict: true } }];
  const create = (asked) => client.chat.completions.create({ model, ...asked });

  async function streamed(asked) {
    const stream = client.chat.completions.stream({
      model,
      stream_options: { include_usage: true },
      ...asked,
    });
    return await stream.finalChatCompletion();
  }

  return {
    async "a whole answer"() {
      const answer = await create({ messages: HELLO });
      const [choice] = answer.choices;
      assert.equal(choice.message.content, "You said: Hello there Be brief.");
      assert.equal(choice.finish_reason, "stop");
      assert.equal(answer.usage.prompt_tokens, 30);
      assert.equal(answer.usage.completion_tokens, 12);
      assert.equal(answer.usage.prompt_tokens_details.cached_tokens, 5);
    },
    async "a stream"() {
      const chunks = await all(await create({ messages: HELLO, stream: true }));
      assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage));
      assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
      const answer = await streamed({ messages: HELLO });
      assert.equal(answer.choices[0].message.content, "You said: Hello there Be brief.");
      assert.equal(answer.usage.total_tokens, 42);
    },
    async "parallel tools with their results"() {
      for (const ask of [create, streamed]) {
        const [{ message, finish_reason }] = (await ask({ messages: WEATHER, tools })).choices;
        assert.equal(finish_reason, "tool_calls");
        const calls = message.tool_calls;
        assert.deepEqual(calls.map((call) => JSON.parse(call.function.arguments)), CITIES);
        assert.equal(new Set(calls.map((call) => call.id)).size, 2);
        const results = calls.map((call, at) => ({
          role: "tool",
          tool_call_id: call.id,
          content: ["17 C", "21 C"][at],
        }));
        const messages = [...WEATHER, message, ...results];
        assert.match((await ask({ messages, tools })).choices[0].message.content, TOLD);
      }
    },
    async "tools that the SDK runs by itself"() {
      const asked = [];
      const run = (given) => {
        asked.push(given.city);
        return given.city === "Paris" ? "17 C" : "21 C";
      };
      const tool = { ...FUNCTION, function: run, parse: JSON.parse };
      for (const stream of [false, true]) {
        const runner = client.chat.completions.runTools({
          model,
          messages: WEATHER,
          tools: [{ type: "function", function: tool }],
          stream,
        });
        assert.match(await runner.finalContent(), TOLD);
      }
      assert.deepEqual(asked, ["Paris", "Rome", "Paris", "Rome"]);
    },
    async "one tool, by name"() {
      const choice = { type: "function", function: { name: "get_weather" } };
      const answer = await create({ messages: WEATHER, tools, tool_choice: choice });
      assert.equal(answer.choices[0].message.tool_calls[0].function.name, "get_weather");
      const none = await create({ messages: WEATHER, tools, tool_choice: "none" });
      assert.ok(!none.choices[0].message.tool_calls?.length);
    },
    async "structured output"() {
      const response_format = zodResponseFormat(City, "city");
      const asked = { model, messages: [{ role: "user", content: "Where?" }], response_format };
      const answer = await client.chat.completions.parse(asked);
      assert.deepEqual(answer.choices[0].message.parsed, { city: "Paris" });
      const stream = await client.chat.completions.stream(asked).finalChatCompletion();
      assert.deepEqual(stream.choices[0].message.parsed, { city: "Paris" });
    },
    async "reasoning"() {
      const asked = { messages: HELLO, reasoning_effort: "low", max_completion_tokens: 3000 };
      const [{ message }] = (await create(asked)).choices;
      assert.equal(message.reasoning_content ?? "", thoughts);
      assert.equal(message.content, "You said: Hello there Be brief.");
      const chunks = await all(await create({ ...asked, stream: true }));
      const pieces = chunks.map((chunk) => chunk.choices[0].delta.reasoning_content ?? "");
      assert.equal(pieces.join(""), thoughts);
    },
    async "reasoning beside tools, both sent back"() {
      const asked = { tools, reasoning_effort: "low", max_completion_tokens: 3000 };
      const [{ message }] = (await create({ ...asked, messages: WEATHER })).choices;
      assert.equal(message.reasoning_content ?? "", thoughts);
      const results = message.tool_calls.map((call, at) => ({
        role: "tool",
        tool_call_id: call.id,
        content: ["17 C", "21 C"][at],
      }));
      const answer = await create({ ...asked, messages: [...WEATHER, message, ...results] });
      assert.match(answer.choices[0].message.content, TOLD);
    },
    ...errors(model, (model, by) => by.chat.completions.create({ model, messages: HELLO })),
    async "a stream that is left"() {
      const open = (model) => client.chat.completions.create({ model, messages: HELLO, stream: true });
      await leaves(model, open);
    },
  };
}

export function responses(model) {
  const tools = [{ type: "function", ...FUNCTION, strict: true }];
  const instructions = "Be brief.";
  const create = (asked) => client.responses.create({ model, ...asked });
  const streamed = (asked) => client.responses.stream({ model, ...asked }).finalResponse();
  const calls = (answer) => answer.output.filter((item) => item.type === "function_call");
  const results = (answer) =>
    calls(answer).map(({ call_id }, at) => ({
      type: "function_call_output",
      call_id,
      output: ["17 C", "21 C"][at],
    }));

  return {
    async "a whole answer"() {
      const answer = await create({ instructions, input: "Hello there" });
      assert.equal(answer.output_text, "You said: Hello there Be brief.");
      assert.equal(answer.status, "completed");
      assert.equal(answer.usage.total_tokens, 42);
    },
    async "a stream"() {
      const asked = { instructions, input: "Hello there" };
      const events = await all(await create({ ...asked, stream: true }));
      assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
      assert.equal(events.at(-1).type, "response.completed");
      assert.equal((await streamed(asked)).output_text, "You said: Hello there Be brief.");
    },
    async "parallel tools with their results, nothing kept by the server"() {
      const more = { tools, store: false, include: ["reasoning.encrypted_content"] };
      for (const ask of [create, streamed]) {
        const answer = await ask({ ...more, input: WEATHER, reasoning: { effort: "low" } });
        assert.deepEqual(calls(answer).map((call) => JSON.parse(call.arguments)), CITIES);
        const items = answer.output.map(({ parsed_arguments: _, ...item }) => item);
        const input = [...WEATHER, ...items, ...results(answer)];
        assert.match((await ask({ ...more, input })).output_text, TOLD);
      }
    },
    async "structured output"() {
      const asked = { input: "Where?", text: { format: zodTextFormat(City, "city") } };
      const answer = await client.responses.parse({ model, ...asked });
      assert.deepEqual(answer.output_parsed, { city: "Paris" });
      assert.deepEqual((await streamed(asked)).output_parsed, { city: "Paris" });
    },
    async "reasoning"() {
      const asked = {
        input: "Hello there",
        reasoning: { effort: "low", summary: "auto" },
        include: ["reasoning.encrypted_content"],
        store: false,
      };
      for (const ask of [create, streamed]) {
        const answer = await ask(asked);
        const [thoughts] = answer.output.filter((item) => item.type === "reasoning");
        const told = [...(thoughts?.summary ?? []), ...(thoughts?.content ?? [])];
        assert.equal(told.map((part) => part.text).join(""), "Let me see.");
      }
    },
    ...errors(model, (model, by) => by.responses.create({ model, input: "Hello there" })),
    async "a stream that is left"() {
      await leaves(model, (model) =>
        client.responses.create({ model, input: "Hello there", stream: true }),
      );
    },
  };
}
