// The AI SDK of Vercel, unmodified: each of its providers, told only a base URL and a key.

import assert from "node:assert/strict";

import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, Output, generateText, isStepCount, streamText, tool } from "ai";
import { z } from "zod";

import { KEY, URL, eventually, raises } from "./checks.mjs";

const ASKED = { maxRetries: 0, instructions: "Be brief.", prompt: "Hello there" };
const WEATHER = { maxRetries: 0, prompt: "What is the weather in Paris and Rome?" };
const SAID = "You said: Hello there Be brief.";
// Google's client wraps results, which other providers are told as they are.
const TOLD = /^The tool said .*17 C.* and .*21 C.*\./;
// Otherwise the client names texts that it takes to be kept by OpenAI instead of sending them.
const STATELESS = { openai: { store: false } };
const tools = {
  get_weather: tool({
    description: "The weather of a city",
    inputSchema: z.object({ city: z.string() }),
    execute: ({ city }) => (city === "Paris" ? "17 C" : "21 C"),
  }),
};

// The SDK's providers, by name: from a key to a function from a name to a model.
const PROVIDERS = {
  "ai/openai.chat": (apiKey) => createOpenAI({ baseURL: `${URL}/v1`, apiKey }).chat,
  "ai/openai.responses": (apiKey) => createOpenAI({ baseURL: `${URL}/v1`, apiKey }).responses,
  "ai/anthropic": (apiKey) => createAnthropic({ baseURL: `${URL}/v1`, apiKey }),
  "ai/google": (apiKey) => createGoogleGenerativeAI({ baseURL: `${URL}/v1beta`, apiKey }),
};

// The result of a call whether it is streamed or not.
async function text(asked) {
  return await generateText(asked);
}

async function stream(asked) {
  const parts = [];
  const result = streamText({ ...asked, onError: () => {} });
  for await (const part of result.stream) {
    if (part.type === "error") throw part.error;
    parts.push(part);
  }
  return {
    text: await result.text,
    steps: await result.steps,
    finishReason: await result.finishReason,
    usage: await result.usage,
    reasoningText: await result.reasoningText,
    output: asked.output ? await result.output : undefined,
  };
}

function checks(sdk, name) {
  const models = PROVIDERS[sdk](KEY);
  const model = models(name);

  async function aborted() {
    return Number.parseInt((await text({ ...ASKED, model: models(`${name}-aborted`) })).text, 10);
  }

  return {
    async "an answer"() {
      for (const ask of [text, stream]) {
        const answer = await ask({ ...ASKED, model });
        assert.equal(answer.text, SAID);
        assert.equal(answer.finishReason, "stop");
        const { inputTokens, outputTokens } = answer.usage;
        assert.deepEqual([inputTokens, outputTokens], [30, 12]);
        assert.equal(answer.usage.inputTokenDetails.cacheReadTokens, 5);
      }
    },
    async "parallel tools with their results"() {
      for (const ask of [text, stream]) {
        const asked = { ...WEATHER, model, tools, providerOptions: STATELESS };
        const answer = await ask({ ...asked, stopWhen: isStepCount(3) });
        assert.match(answer.text, TOLD);
        const [first, last] = answer.steps;
        assert.equal(first.finishReason, "tool-calls");
        assert.deepEqual(first.toolCalls.map((call) => call.input.city), ["Paris", "Rome"]);
        assert.equal(last.finishReason, "stop");
      }
    },
    async "one tool, by name"() {
      const toolChoice = { type: "tool", toolName: "get_weather" };
      const answer = await text({ ...WEATHER, model, tools, toolChoice });
      assert.equal(answer.toolCalls[0].toolName, "get_weather");
      const none = await text({ ...WEATHER, model, tools, toolChoice: "none" });
      assert.equal(none.toolCalls.length, 0);
    },
    async "structured output"() {
      for (const ask of [text, stream]) {
        const output = Output.object({ schema: z.object({ city: z.string() }) });
        const answer = await ask({ ...ASKED, prompt: "Where?", model, output });
        assert.deepEqual(answer.output, { city: "Paris" });
      }
    },
    async "reasoning, beside tools and sent back"() {
      for (const ask of [text, stream]) {
        const more = { model, reasoning: "low", maxOutputTokens: 8000 };
        // The SDK's own chat completions have no thoughts.
        const thinks = sdk !== "ai/openai.chat";
        const openai = { ...STATELESS.openai, reasoningSummary: "auto", forceReasoning: true };
        const providerOptions = { openai, google: { thinkingConfig: { includeThoughts: true } } };
        const answer = await ask({ ...ASKED, ...more, providerOptions });
        assert.equal(answer.reasoningText, thinks ? "Let me see." : undefined);
        assert.equal(answer.text, SAID);
        const looped = { ...WEATHER, ...more, providerOptions, tools, stopWhen: isStepCount(3) };
        assert.match((await ask(looped)).text, TOLD);
      }
    },
    async "errors"() {
      for (const ask of [text, stream]) {
        const wrong = PROVIDERS[sdk]("sk-wrong")(name);
        for (const [model, status] of [
          [wrong, 401],
          [models("nobody"), 404],
          [models(`${name}-limited`), 429],
        ]) {
          const error = await raises(() => ask({ ...ASKED, model }));
          assert.ok(APICallError.isInstance(error), error);
          assert.equal(error.statusCode, status);
          assert.ok(error.message && error.message !== "Unknown error", error.message);
          assert.equal(error.isRetryable, status === 429);
          if (status === 429) assert.match(error.responseHeaders["retry-after"], /^3[45]$/);
        }
      }
    },
    async "a stream that is left"() {
      const before = await aborted();
      const control = new AbortController();
      const result = streamText({
        ...ASKED,
        model: models(`${name}-slow`),
        abortSignal: control.signal,
        onError: () => {},
      });
      let seen = 0;
      for await (const part of result.stream) {
        if (part.type === "text-delta" && ++seen === 3) control.abort();
      }
      assert.ok(seen >= 3, `${seen}`);
      await eventually(async () => (await aborted()) > before);
    },
  };
}

export function ai(model) {
  return Object.fromEntries(Object.keys(PROVIDERS).map((sdk) => [sdk, checks(sdk, model)]));
}
